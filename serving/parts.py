"""What vLLM says, as parts: a whole answer, a stream of events, an error. Pure."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, TypeGuard

from pydantic_core import from_json

from serving.apis import Part
from serving.errors import BadAnswer, EngineAway, EngineRefused, ServingError, WrongAdapter

_DATA = b"data: "
_DONE = b"[DONE]"


def whole(raw: bytes, model: str) -> Part:
    return _checked(_parsed(raw), model)


async def streamed(blocks: AsyncIterator[bytes], model: str) -> AsyncGenerator[list[Part]]:
    """The parts of server-sent events, those that came together as one batch."""
    events = _Events(model)
    async for block in blocks:
        if batch := events.take(block):
            yield batch
        if events.trouble:
            raise events.trouble
    # Read on behind the end mark: a connection is used again only if its answer was read whole.
    if not events.ended:
        raise EngineAway("the engine ended its answer in the middle")


def refusal(status: int, raw: bytes) -> EngineRefused:
    """The engine's error in its own words; in the middle of a stream only they know the status."""
    try:
        said = from_json(raw)["error"]
        code = said.get("code")
    except (ValueError, TypeError, KeyError, AttributeError):  # not in vLLM's shape
        return EngineRefused(status, {"message": raw[:200].decode(errors="replace")})
    return EngineRefused(code if isinstance(code, int) else status, said)


class _Events:
    def __init__(self, model: str) -> None:
        self._model = model
        self._rest = b""
        self.ended = False
        self.trouble: ServingError | None = None  # behind the parts that were taken

    def take(self, block: bytes) -> list[Part]:
        # Not a line reader: those also cut at line ends that JSON leaves as they are, as U+2028.
        *events, self._rest = (self._rest + block).split(b"\n\n")
        batch = list[Part]()
        try:
            for event in events:
                self.ended = event == _DATA + _DONE
                # The others are comments that keep a connection alive.
                if event.startswith(_DATA) and not self.ended:
                    batch.append(whole(event[len(_DATA) :], self._model))
        except ServingError as error:
            self.trouble = error
        return batch


def _parsed(raw: bytes) -> Part:
    try:
        part = from_json(raw)
    except ValueError as error:
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


def _checked(part: Part, model: str) -> Part:
    if part["model"] != model:
        raise WrongAdapter(f"the engine answered with {part['model']!r}; expected {model!r}")
    return part
