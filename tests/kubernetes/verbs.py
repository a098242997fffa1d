"""What each verb does to the objects, after it was asked who may."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tests.helm.chart import Manifest
from tests.kubernetes.calls import Call
from tests.kubernetes.defaults import completed, encoded
from tests.kubernetes.fields import Fields
from tests.kubernetes.immutable import changed_for_ever
from tests.kubernetes.kinds import NAMESPACE, Key
from tests.kubernetes.objects import Objects
from tests.kubernetes.owners import Owner, applied, updated
from tests.kubernetes.patches import Strategic, merged, stepped
from tests.kubernetes.quantities import settled
from tests.kubernetes.refusals import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Invalid,
    NotAllowed,
    NotFound,
    Unreadable,
)
from tests.kubernetes.rights import Rights, User
from tests.kubernetes.schemas import Schemas
from tests.kubernetes.selecting import selected

Answer = tuple[int, Manifest]

_APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True)
class Verbs:
    objects: Objects
    schemas: Schemas
    rights: Rights

    def answer(self, call: Call, who: User) -> Answer:
        verbs: dict[str, Callable[[Call, User], Answer]] = {
            "get": self._get,
            "list": self._list,
            "create": self._create,
            "update": self._update,
            "patch": self._patch,
            "delete": self._delete,
            "deletecollection": self._delete,
        }
        if call.subresource:
            raise NotAllowed(f"there is no {call.right.resource} here", call.key)
        return verbs[call.verb](call, who)

    def _get(self, call: Call, who: User) -> Answer:
        return 200, self._there(call.key)

    def _there(self, key: Key) -> Manifest:
        found = self.objects.get(key)
        if found is None:
            raise NotFound.of(key)
        return found

    def _list(self, call: Call, who: User) -> Answer:
        found = self.objects.under(call.resource, call.key.namespace)
        return 200, {
            "kind": f"{call.resource.kind}List",
            "apiVersion": call.resource.group_version,
            "metadata": {"resourceVersion": str(self.objects.version)},
            "items": [one for _, one in found if selected(one, call.query)],
        }

    def _create(self, call: Call, who: User) -> Answer:
        key, manifest = self._at(call.named, call.document)
        if self.objects.get(key):
            raise AlreadyExists(f'{key.resource.full_name} "{key.name}" already exists', key)
        manifest = self._owned({}, manifest, call)
        return 201, self._kept(call, who, key, manifest)

    def _update(self, call: Call, who: User) -> Answer:
        old = self._there(call.key)
        key, manifest = self._at(call.key, call.document)
        version = manifest["metadata"].get("resourceVersion")
        if version and version != old["metadata"]["resourceVersion"]:
            raise Conflict.of(key)
        return 200, self._kept(call, who, key, self._owned(old, manifest, call))

    def _patch(self, call: Call, who: User) -> Answer:
        if call.content_type == _APPLY:
            return self._apply(call, who)
        old = self._there(call.key)
        key, manifest = self._at(call.key, self._patched(call, old))
        if manifest["metadata"].get("resourceVersion") != old["metadata"]["resourceVersion"]:
            raise Conflict.of(key)
        return 200, self._kept(call, who, key, self._owned(old, manifest, call))

    def _patched(self, call: Call, old: Manifest) -> Any:
        patch: Any = call.document
        if call.content_type == "application/json-patch+json":
            return stepped(old, patch)
        if call.content_type == "application/merge-patch+json":
            return merged(old, patch)
        if call.content_type == "application/strategic-merge-patch+json":
            return Strategic(self.schemas).merged(old, patch, self.schemas.of(call.resource))
        raise Unreadable(f"{call.content_type} is no patch known here", call.key)

    def _apply(self, call: Call, who: User) -> Answer:
        old = self.objects.get(call.key)
        if old is None:
            self.rights.demand(who, replace(call.right, verb="create"))
        key, config = self._at(call.key, call.document)
        manifest = applied(
            Fields(self.schemas),
            old or {},
            config,
            self.schemas.of(call.resource),
            owner=Owner(call.manager, "Apply"),
            force=call.query.get("force") == "true",
        )
        return 200 if old else 201, self._kept(call, who, key, manifest)

    def _owned(self, old: Manifest, manifest: Manifest, call: Call) -> Manifest:
        node = self.schemas.of(call.resource)
        return updated(Fields(self.schemas), old, manifest, node, manager=call.manager)

    def _at(self, key: Key, document: Manifest) -> tuple[Key, Manifest]:
        """With the names that the path, or the server, gives it."""
        about = dict(document.get("metadata") or {})
        name = key.name or about.get("generateName", "") + uuid.uuid4().hex[:5]
        about["name"] = name
        if key.namespace:
            about["namespace"] = key.namespace
        kind = {"apiVersion": key.resource.group_version, "kind": key.resource.kind}
        manifest = encoded({**document, **kind, "metadata": about})
        node = self.schemas.of(key.resource)
        return replace(key, name=name), settled(manifest, node, self.schemas)

    def _kept(self, call: Call, who: User, key: Key, manifest: Manifest) -> Manifest:
        """Lies there from then on, if it may."""
        self._check(key, manifest)
        manifest, old = completed(manifest), self.objects.get(key)
        if old and (complaint := changed_for_ever(old, manifest)):
            raise Invalid.of(key, [complaint])
        if key.resource.group == "rbac.authorization.k8s.io":
            self.rights.demand_to_grant(who, key, manifest)
        if call.dry:
            return manifest
        return self.objects.keep(key, manifest)

    def _check(self, key: Key, manifest: Manifest) -> None:
        if key.namespace and not self.objects.get(Key(NAMESPACE, "", key.namespace)):
            raise NotFound.of(Key(NAMESPACE, "", key.namespace))
        about = {one: told for one, told in manifest["metadata"].items() if one != "managedFields"}
        told = {**manifest, "metadata": about}
        told.pop("status", None)
        if complaints := self.schemas.complaints(key.resource, told):
            raise Invalid.of(key, complaints)

    def _delete(self, call: Call, who: User) -> Answer:
        keys = [call.key]
        if not call.key.name:
            found = self.objects.under(call.resource, call.key.namespace)
            keys = [key for key, one in found if selected(one, call.query)]
        for key in keys:
            self._there(key)
            if key == Key(NAMESPACE, "", "default"):
                raise Forbidden(
                    'namespaces "default" is forbidden: this namespace may not be deleted'
                )
            if not call.dry:
                self.objects.drop(key)
        details = {"name": call.key.name, "kind": call.resource.plural}
        done = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
        return 200, {**done, "details": details}
