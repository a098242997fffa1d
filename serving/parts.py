"""What vLLM says, as parts: a whole answer, a stream of events, an error. Pure."""

from typing import Any, TypeGuard

from msgspec import MsgspecError
from msgspec.json import decode as from_json  # two thirds of the time of pydantic's

from serving.apis import Part
from serving.errors import BadAnswer, EngineAway, EngineRefused, ServingError, WrongAdapter

_DATA = b"data: "
_DONE = b"[DONE]"
_NOT_JSON = (MsgspecError, UnicodeError, RecursionError)


def whole(raw: bytes, model: str) -> Part:
    part = _parsed(raw)
    if part["model"] != model:
        raise WrongAdapter(f"the engine answered with {part['model']!r}; expected {model!r}")
    return part


def refusal(status: int, raw: bytes) -> EngineRefused:
    """The engine's error in its own words; in the middle of a stream only they know the status."""
    try:
        said = from_json(raw)["error"]
        code = said.get("code")
    except (*_NOT_JSON, TypeError, KeyError, AttributeError):  # not in vLLM's shape
        return EngineRefused(status, {"message": raw[:200].decode(errors="replace")})
    return EngineRefused(code if isinstance(code, int) else status, said)


class Events:
    """Server-sent events as parts, wherever they are cut.

    Read on behind the end mark: a connection is used again only if its answer was read whole.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        self._rest = b""
        self._ended = False
        self._trouble: ServingError | None = None

    def take(self, block: bytes) -> list[Part]:
        """What came together is a batch. Then `check` whether there was trouble behind it."""
        # Not a line reader: those also cut at line ends that JSON leaves as they are, as U+2028.
        *events, self._rest = (self._rest + block).split(b"\n\n")
        batch = list[Part]()
        try:
            for event in events:
                self._ended = event == _DATA + _DONE
                # The others are comments that keep a connection alive.
                if event.startswith(_DATA) and not self._ended:
                    batch.append(whole(event[len(_DATA) :], self._model))
        except ServingError as error:
            self._trouble = error
        return batch

    def check(self) -> None:
        if self._trouble:
            raise self._trouble

    def check_end(self) -> None:
        if not self._ended:
            raise EngineAway("the engine ended its answer in the middle")


def _parsed(raw: bytes) -> Part:
    try:
        part = from_json(raw)
    except _NOT_JSON as error:
        raise BadAnswer(f"the engine said {raw[:80]!r}; expected JSON") from error
    if isinstance(part, dict) and "error" in part:
        raise refusal(500, raw)
    if not _is_answer(part):
        raise BadAnswer(f"the engine said {raw[:80]!r}; expected an answer")
    return part


def _is_answer(part: Any) -> TypeGuard[Part]:
    if not isinstance(part, dict) or not {"id", "model", "choices"} <= part.keys():
        return False
    choices = part["choices"]
    return isinstance(choices, list) and all(
        isinstance(choice, dict) and "index" in choice for choice in choices
    )
