"""What the API server says when it will not, in Kubernetes' words.

Refusal
├── Unauthorized, Forbidden
├── NotFound, NotAllowed
├── AlreadyExists, Conflict
├── Unreadable, Invalid
└── Fault: a test asked for it
"""

from tests.helm.chart import Manifest
from tests.kubernetes.kinds import Key


class Refusal(Exception):
    code, reason = 400, "BadRequest"

    def __init__(self, message: str, key: Key | None = None) -> None:
        super().__init__(message)
        self.details: Manifest = (
            {"name": key.name, "group": key.resource.group, "kind": key.resource.plural}
            if key
            else {}
        )

    def status(self) -> Manifest:
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": str(self),
            "reason": self.reason,
            "details": self.details,
            "code": self.code,
        }


class Unauthorized(Refusal):
    code, reason = 401, "Unauthorized"


class Forbidden(Refusal):
    code, reason = 403, "Forbidden"


class NotFound(Refusal):
    code, reason = 404, "NotFound"

    @classmethod
    def of(cls, key: Key) -> "NotFound":
        return cls(f'{key.resource.full_name} "{key.name}" not found', key)


class NotAllowed(Refusal):
    code, reason = 405, "MethodNotAllowed"


class AlreadyExists(Refusal):
    code, reason = 409, "AlreadyExists"


class Conflict(Refusal):
    code, reason = 409, "Conflict"

    @classmethod
    def of(cls, key: Key) -> "Conflict":
        """Somebody was there in between."""
        name = f'{key.resource.full_name} "{key.name}"'
        told = "the object has been modified; please apply your changes to the latest version"
        return cls(f"Operation cannot be fulfilled on {name}: {told} and try again", key)


class Unreadable(Refusal):
    code, reason = 415, "UnsupportedMediaType"


class Invalid(Refusal):
    code, reason = 422, "Invalid"

    @classmethod
    def of(cls, key: Key, complaints: list[str]) -> "Invalid":
        told = "; ".join(complaints)
        refusal = cls(f'{key.resource.kind} "{key.name}" is invalid: {told}', key)
        refusal.details["causes"] = [  # these are what kubectl shows
            dict(zip(("field", "message"), one.split(": ", 1), strict=True)) for one in complaints
        ]
        return refusal


class Fault(Refusal):
    reason = "InternalError"

    def __init__(self, code: int) -> None:
        super().__init__(f"a test asked for a {code}")
        self.code = code
