"""Who may do what: bearer tokens, and the Roles and bindings that lie on the server."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

from tests.helm.chart import Manifest
from tests.kubernetes.calls import Right
from tests.kubernetes.kinds import BY_KIND, Key
from tests.kubernetes.objects import Objects
from tests.kubernetes.refusals import Forbidden, Unauthorized

ADMIN = "admin"
_ACCOUNT = "account"
_EVERYBODY = "system:authenticated"
_API_GROUP = "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class User:
    name: str
    groups: tuple[str, ...]

    @property
    def all_powerful(self) -> bool:
        return "system:masters" in self.groups


def token(account: str, namespace: str) -> str:
    return f"{_ACCOUNT}.{namespace}.{account}"


def user(authorization: str) -> User:
    """Whose `Bearer TOKEN` it is."""
    bearer = authorization.removeprefix("Bearer ")
    if bearer == ADMIN:
        return User(ADMIN, ("system:masters", _EVERYBODY))
    kind, *rest = bearer.split(".")
    if kind == _ACCOUNT and len(rest) == 2:
        namespace, account = rest
        return _named(f"system:serviceaccount:{namespace}:{account}")
    if not authorization:
        return User("system:anonymous", ("system:unauthenticated",))
    raise Unauthorized("Unauthorized")


def acting(who: User, headers: Mapping[str, str]) -> User:
    """As whom an administrator asks, by `--as`."""
    name = headers.get("Impersonate-User", "")
    if not name:
        return who
    if not who.all_powerful:
        raise Forbidden(f'users "{name}" is forbidden: User "{who.name}" cannot impersonate')
    return _named(name)


def _named(name: str) -> User:
    if not name.startswith("system:serviceaccount:"):
        return User(name, (_EVERYBODY,))
    accounts, namespace = "system:serviceaccounts", name.split(":")[2]
    return User(name, (accounts, f"{accounts}:{namespace}", _EVERYBODY))


class Rights:
    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def may(self, who: User, right: Right) -> bool:
        return who.all_powerful or any(
            _allows(rule, right) for rule in self._rules(who, right.namespace)
        )

    def demand(self, who: User, right: Right) -> None:
        if not self.may(who, right):
            raise _forbidden(who, right)

    def demand_to_grant(self, who: User, key: Key, manifest: Manifest) -> None:
        """Nobody may give away more than they have."""
        if who.all_powerful:
            return
        rules = manifest.get("rules") or []
        if key.resource.kind.endswith("Binding"):
            rules = self._granted(manifest, key.namespace)
        for right in (one for rule in rules for one in _rights(rule, key.namespace)):
            if not self.may(who, right):
                what = f'{key.resource.full_name} "{key.name}" is forbidden: user "{who.name}"'
                told = "is attempting to grant RBAC permissions not currently held"
                raise Forbidden(f"{what} {told}: {right}", key)

    def _rules(self, who: User, namespace: str) -> Iterator[Manifest]:
        for key, binding in self._bindings(namespace):
            if any(_is(one, who, key.namespace) for one in binding.get("subjects") or []):
                yield from self._granted(binding, key.namespace)

    def _bindings(self, namespace: str) -> list[tuple[Key, Manifest]]:
        everywhere = self._objects.under(BY_KIND["ClusterRoleBinding"])
        if not namespace:
            return everywhere
        return [*everywhere, *self._objects.under(BY_KIND["RoleBinding"], namespace)]

    def _granted(self, binding: Manifest, namespace: str) -> list[Manifest]:
        resource = BY_KIND[binding["roleRef"]["kind"]]
        where = namespace if resource.namespaced else ""
        role = self._objects.get(Key(resource, where, binding["roleRef"]["name"]))
        return (role or {}).get("rules") or []


def _is(subject: Manifest, who: User, namespace: str) -> bool:
    if subject["kind"] == "ServiceAccount":
        of = subject.get("namespace", namespace)
        return who.name == f"system:serviceaccount:{of}:{subject['name']}"
    return subject["name"] in (who.groups if subject["kind"] == "Group" else (who.name,))


def _allows(rule: Manifest, right: Right) -> bool:
    names = rule.get("resourceNames") or []
    return (
        _among(right.verb, rule.get("verbs"))
        and _among(right.group, rule.get("apiGroups"))
        and _among(right.resource, rule.get("resources"))
        and (not names or right.name in names)
    )


def _among(one: str, told: list[str] | None) -> bool:
    return one in (told or []) or "*" in (told or [])


def _rights(rule: Manifest, namespace: str) -> Iterator[Right]:
    """Each single one that a rule gives."""
    for verb, group, resource, name in product(
        rule.get("verbs") or [],
        rule.get("apiGroups") or [],
        rule.get("resources") or [],
        rule.get("resourceNames") or [""],
    ):
        yield Right(verb, group, resource, namespace, name)


def _forbidden(who: User, right: Right) -> Forbidden:
    plural = right.resource.partition("/")[0]
    what = f"{plural}.{right.group}".removesuffix(".") + (f' "{right.name}"' * bool(right.name))
    where = f'in the namespace "{right.namespace}"' if right.namespace else "at the cluster scope"
    return Forbidden(
        f'{what} is forbidden: User "{who.name}" cannot {right.verb} resource "{right.resource}"'
        f' in API group "{right.group}" {where}'
    )
