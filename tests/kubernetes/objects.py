"""What lies on the API server, and who watches it. Knows nothing about requests."""

import asyncio
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass

from tests.helm.chart import Manifest
from tests.kubernetes.kinds import NAMESPACE, Key, Resource
from tests.kubernetes.simulated import now, status

Wants = Callable[[Key, Manifest], bool]


@dataclass(frozen=True)
class Event:
    version: int
    type: str
    key: Key
    manifest: Manifest

    def line(self) -> Manifest:
        return {"type": self.type, "object": self.manifest}


class Objects:
    """Manifests in it are never changed, but replaced."""

    def __init__(self) -> None:
        self.version = 1
        self._kept: dict[Key, Manifest] = {}
        self._events: list[Event] = []
        self._watchers: list[tuple[asyncio.Queue[Event], Wants]] = []

    def get(self, key: Key) -> Manifest | None:
        return self._kept.get(key)

    def under(self, resource: Resource, namespace: str = "") -> list[tuple[Key, Manifest]]:
        """All of a kind, of one namespace or of all."""
        return [
            (key, manifest)
            for key, manifest in list(self._kept.items())
            if key.resource == resource and namespace in ("", key.namespace)
        ]

    def keep(self, key: Key, manifest: Manifest) -> Manifest:
        """It as it lies there then, with what the server and its controllers add."""
        old = self._kept.get(key)
        if old and _same(old, manifest):
            return old
        manifest = deepcopy(manifest)
        about = manifest["metadata"]
        about.update(_known(old, manifest))
        about["resourceVersion"] = str(self.version + 1)
        if told := status(manifest):
            manifest["status"] = told
        self._kept[key] = manifest
        self._tell("MODIFIED" if old else "ADDED", key, manifest)
        return manifest

    def drop(self, key: Key) -> None:
        """With a namespace goes all that is in it."""
        manifest = self._kept.pop(key)
        about = {**manifest["metadata"], "resourceVersion": str(self.version + 1)}
        self._tell("DELETED", key, {**manifest, "metadata": about})
        if key.resource == NAMESPACE:
            for inner in [one for one in self._kept if one.namespace == key.name]:
                self.drop(inner)

    def _tell(self, kind: str, key: Key, manifest: Manifest) -> None:
        self.version += 1
        event = Event(self.version, kind, key, manifest)
        self._events.append(event)
        for queue, wants in self._watchers:
            if wants(key, manifest):
                queue.put_nowait(event)

    @contextmanager
    def watched(self, wants: Wants, since: int) -> Iterator[asyncio.Queue[Event]]:
        """What happens from then on; since 0, first all that is there."""
        queue = asyncio.Queue[Event]()
        there = [Event(since, "ADDED", key, one) for key, one in self._kept.items()]
        later = [event for event in self._events if event.version > since]
        for event in later if since else there:
            if wants(event.key, event.manifest):
                queue.put_nowait(event)
        watcher = (queue, wants)
        self._watchers.append(watcher)
        try:
            yield queue
        finally:
            self._watchers.remove(watcher)


def _known(old: Manifest | None, new: Manifest) -> Manifest:
    """What the server alone says of an object."""
    if old is None:
        return {"uid": str(uuid.uuid4()), "creationTimestamp": now(), "generation": 1}
    about = old["metadata"]
    return {
        "uid": about["uid"],
        "creationTimestamp": about["creationTimestamp"],
        "generation": about["generation"] + (old.get("spec") != new.get("spec")),
    }


def _same(old: Manifest, new: Manifest) -> bool:
    """Who changes nothing makes no new version, as in Kubernetes."""
    return _told(old) == _told(new)


def _told(manifest: Manifest) -> Manifest:
    servers = ("uid", "creationTimestamp", "generation", "resourceVersion", "managedFields")
    about = {name: told for name, told in manifest["metadata"].items() if name not in servers}
    fields = manifest["metadata"].get("managedFields") or []
    owned = {(one["manager"], one["operation"]): one["fieldsV1"] for one in fields}
    return {**manifest, "status": None, "metadata": {**about, "managedFields": owned}}
