"""What an app asks for: one chat request, held as it came. Pure. Knows nothing about adapters."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from serving.errors import BadRequest

USER_HEADER = "x-thumbwheel-user"
CONVERSATION_HEADER = "x-thumbwheel-conversation"
MAX_ID_LENGTH = 200
_NOT_PARAMETERS = {"messages", "model", "user", "stream", "stream_options"}

Part = dict[str, Any]  # a whole answer, or one chunk of a streamed one, as vLLM says it


@dataclass(frozen=True)
class Ask:
    """A request as its app sent it; `started` is when, on the clock of `time.perf_counter`."""

    body: dict[str, Any]
    user: str | None
    conversation: str | None
    started: float

    @property
    def model(self) -> object:
        return self.body.get("model")

    @property
    def streams(self) -> bool:
        return bool(self.body.get("stream"))

    @property
    def parameters(self) -> dict[str, Any]:
        """How the answer was to be sampled."""
        return {key: value for key, value in self.body.items() if key not in _NOT_PARAMETERS}

    def for_engine(self) -> dict[str, Any]:
        """The body, and the wish to be told what training needs to know of the answer."""
        return self.body | {"logprobs": True, "return_token_ids": True}

    def hide(self, part: Part) -> Part:
        """Take out of `part` what the app did not ask for."""
        if not self.body.get("return_token_ids"):
            part.pop("prompt_token_ids", None)
            for choice in part["choices"]:
                choice.pop("token_ids", None)
        if not self.body.get("logprobs"):
            for choice in part["choices"]:
                choice["logprobs"] = None
        return part


def read_ask(raw: bytes, headers: Mapping[str, str], started: float) -> Ask:
    body = read_object(raw)
    messages = body.get("messages")
    if not isinstance(messages, list) or not all(isinstance(one, dict) for one in messages):
        raise BadRequest(f"messages is {short(messages)}; expected a list of objects", "messages")
    if not isinstance(body.get("stream"), bool | None):
        raise BadRequest(f"stream is {short(body['stream'])}; expected true or false", "stream")
    user = body.get("user")
    if not isinstance(user, str | None):
        raise BadRequest(f"user is {short(user)}; expected a string", "user")
    conversation = headers.get(CONVERSATION_HEADER) or None
    if len(conversation or "") > MAX_ID_LENGTH:
        raise BadRequest(
            f"{CONVERSATION_HEADER} has {len(conversation or '')} characters; "
            f"expected at most {MAX_ID_LENGTH}"
        )
    return Ask(body, user or headers.get(USER_HEADER) or None, conversation, started)


def read_object(raw: bytes) -> dict[str, Any]:
    try:
        body = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadRequest(f"the body is a JSON {type(body).__name__}; expected an object")
    return body


def short(value: object) -> str:
    got = repr(value)
    return got if len(got) <= 80 else got[:77] + "..."
