"""Bodies in protobuf, as Helm and kubectl send a few kinds, read into what JSON would say.

The field numbers are those of `generated.proto` in k8s.io/api.
"""

from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.helm.chart import Manifest
from tests.kubernetes.refusals import Unreadable

MAGIC = b"k8s\0"

Reads = Callable[[bytes], Any]


@dataclass(frozen=True)
class _Field:
    name: str
    reads: Reads = bytes.decode
    many: bool = False
    mapped: bool = False


def _base64(value: bytes) -> str:
    return b64encode(value).decode()


def _message(*fields: tuple[int, _Field]) -> Reads:
    known = dict(fields)

    def read(body: bytes) -> Manifest:
        found: Manifest = {}
        for number, value in _wire(body):
            if number in known and isinstance(value, bytes):
                _put(found, known[number], value)
        return found

    return read


def _put(found: Manifest, field: _Field, value: bytes) -> None:
    if field.mapped:
        entry = dict(_wire(value))
        name, told = entry[1], entry.get(2, b"")
        assert isinstance(name, bytes) and isinstance(told, bytes)
        found.setdefault(field.name, {})[name.decode()] = field.reads(told)
    elif field.many:
        found.setdefault(field.name, []).append(field.reads(value))
    elif value:
        found[field.name] = field.reads(value)


def _wire(body: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Numbers of fields, and their values; of fixed width there are none here."""
    at = 0
    while at < len(body):
        tag, at = _varint(body, at)
        size, at = _varint(body, at)
        if tag & 7 == 0:
            yield tag >> 3, size
        else:
            yield tag >> 3, body[at : at + size]
            at += size


def _varint(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = body[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def _texts(*names: str) -> Reads:
    return _message(*((at, _Field(name)) for at, name in enumerate(names, 1) if name))


_META = _Field(
    "metadata",
    _message(
        (1, _Field("name")),
        (2, _Field("generateName")),
        (3, _Field("namespace")),
        (5, _Field("uid")),
        (6, _Field("resourceVersion")),
        (11, _Field("labels", mapped=True)),
        (12, _Field("annotations", mapped=True)),
    ),
)
_RULE = _message(
    *(
        (at, _Field(name, many=True))
        for at, name in enumerate(("verbs", "apiGroups", "resources", "resourceNames"), 1)
    )
)
_ATTRIBUTES = _texts("namespace", "verb", "group", "version", "resource", "subresource", "name")
_KINDS: dict[str, Reads] = {
    "Secret": _message((1, _META), (2, _Field("data", _base64, mapped=True)), (3, _Field("type"))),
    "ConfigMap": _message((1, _META), (2, _Field("data", mapped=True))),
    "Namespace": _message((1, _META)),
    "ServiceAccount": _message((1, _META)),
    "Role": _message((1, _META), (2, _Field("rules", _RULE, many=True))),
    "RoleBinding": _message(
        (1, _META),
        (2, _Field("subjects", _texts("kind", "apiGroup", "name", "namespace"), many=True)),
        (3, _Field("roleRef", _texts("apiGroup", "kind", "name"))),
    ),
    "SelfSubjectAccessReview": _message(
        (2, _Field("spec", _message((1, _Field("resourceAttributes", _ATTRIBUTES)))))
    ),
    "DeleteOptions": _message(),
}
_ENVELOPE = _message((1, _Field("type", _texts("apiVersion", "kind"))), (2, _Field("raw", bytes)))


def read(body: bytes) -> Manifest:
    envelope = _ENVELOPE(body.removeprefix(MAGIC))
    kind = envelope["type"]["kind"]
    if kind not in _KINDS:
        raise Unreadable(f"no protobuf for {kind} here; expected one of {sorted(_KINDS)}")
    return {**envelope["type"], "metadata": {}, **_KINDS[kind](envelope.get("raw", b""))}
