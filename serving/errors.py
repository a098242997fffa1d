"""Everything that a request can fail of, with its HTTP status. Pure.

ServingError
├── BadRequest 400          the body or a header is not as it must be
│   ├── TooLarge 413
│   ├── PromptTooLarge 413
│   └── BadVerdict 422
├── NotLetIn 401            no key or token, or one that does not hold
│   └── Forbidden 403       it holds, but not for this
├── TooMany 429             more than this caller, or all together, may ask
├── UnknownModel 404        nothing is served under this name
├── NoSuchPath 404
├── NoSuchMethod 405
├── NoSplit 503             nobody has said yet who gets what
├── NotStored 503           a verdict could not be made durable
└── EngineError
    ├── EngineAway 503      it cannot be reached, or went away in the middle
    ├── EngineBusy 503      all engines have as many requests as they may
    ├── EngineSlow 504      it said nothing for too long
    ├── AnswerTooLong 504   it went on for longer than any answer may
    ├── EngineRefused       its own error: status and words are passed on
    ├── BadAnswer 502       what it said is not an answer
    └── WrongAdapter 502    another adapter answered than the one that was asked
"""

from http import HTTPStatus
from math import ceil
from typing import Any


class ServingError(Exception):
    """`outcome` is its name in the metrics: one of a closed set."""

    status: int = 500
    type: str = "server_error"
    code: str | int | None = None
    outcome: str = "failed"
    retry_after_seconds: float | None = None

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class BadRequest(ServingError):
    status, type, outcome = 400, "invalid_request_error", "bad_request"


class TooLarge(BadRequest):
    status, code = 413, "body_too_large"


class PromptTooLarge(BadRequest):
    status, code = 413, "prompt_too_large"


class BadVerdict(BadRequest):
    status = 422


class NotLetIn(ServingError):
    status, type, code = 401, "invalid_request_error", "invalid_api_key"
    outcome = "not_let_in"

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code or self.code


class Forbidden(NotLetIn):
    status, code = 403, "forbidden"


class TooMany(ServingError):
    status, type, code = 429, "rate_limit_error", "rate_limit_exceeded"
    outcome = "too_many"

    def __init__(self, message: str, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class UnknownModel(ServingError):
    status, type, code = 404, "invalid_request_error", "model_not_found"
    outcome = "unknown_model"


class NoSuchPath(ServingError):
    status, type, code = 404, "invalid_request_error", 404


class NoSuchMethod(ServingError):
    status, type, code = 405, "invalid_request_error", 405

    def __init__(self, message: str, allowed: str) -> None:
        super().__init__(message)
        self.allowed = allowed


class NoSplit(ServingError):
    status, code, outcome = 503, "no_split", "no_split"


class NotStored(ServingError):
    status, code = 503, "not_stored"


class EngineError(ServingError):
    status, type = 502, "engine_error"


class EngineAway(EngineError):
    status, code, outcome = 503, "engine_away", "engine_away"


class EngineBusy(EngineError):
    status, code, outcome = 503, "engine_busy", "engine_busy"
    retry_after_seconds = 1.0


class EngineSlow(EngineError):
    status, code, outcome = 504, "engine_slow", "engine_slow"


class AnswerTooLong(EngineError):
    status, code, outcome = 504, "answer_too_long", "answer_too_long"


class EngineRefused(EngineError):
    def __init__(self, status: int, said: dict[str, Any]) -> None:
        super().__init__(str(said.get("message", "no message")), said.get("param"))
        self.status = status
        self.type = str(said.get("type") or _phrase(status))
        self.code = said.get("code", status)
        self.outcome = "refused" if status < 500 else "engine_error"


class BadAnswer(EngineError):
    code, outcome = "bad_answer", "bad_answer"


class WrongAdapter(EngineError):
    code, outcome = "wrong_adapter", "wrong_adapter"


def body_of(error: ServingError) -> dict[str, Any]:
    """The error as OpenAI's clients know it."""
    return error_body(str(error), error.type, error.param, error.code)


def error_body(
    message: str, type: str, param: str | None = None, code: str | int | None = None
) -> dict[str, Any]:
    return {"error": {"message": message, "type": type, "param": param, "code": code}}


def headers_of(error: ServingError) -> dict[str, str]:
    if isinstance(error, NoSuchMethod):
        return {"allow": error.allowed}
    if error.retry_after_seconds is None:
        return {}
    return {"retry-after": str(ceil(error.retry_after_seconds))}


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "error"
