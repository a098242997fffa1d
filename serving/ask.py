"""What an app asks for: one request, held as it came. Pure. Knows nothing about adapters."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pydantic_core import from_json

from serving.apis import Api, Part, short
from serving.errors import BadRequest, PromptTooLarge

USER_HEADER = "x-thumbwheel-user"
CONVERSATION_HEADER = "x-thumbwheel-conversation"
COMPARE_HEADER = "x-thumbwheel-compare"
MAX_ID_LENGTH = 200


@dataclass(frozen=True)
class Ask:
    """A request as its app sent it; `started` is when, on the clock of `time.perf_counter`."""

    api: Api
    body: dict[str, Any]
    user: str | None
    conversation: str | None
    started: float
    app: str | None = None  # whose key it came with
    compare: str | None = None  # two answers: "canary" (and stable), or two "samples"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # they hold the key

    @property
    def model(self) -> object:
        return self.body.get("model")

    @property
    def person(self) -> str | None:
        """Who stays on one side of the split: the user, or else the conversation."""
        return self.user or (self.conversation and f"conversation {self.conversation}")

    @property
    def streams(self) -> bool:
        return bool(self.body.get("stream"))

    def for_engine(self) -> dict[str, Any]:
        return self.body | self.api.wish(self.body)

    def hide(self, part: Part) -> Part:
        """Take out of `part` what the app did not ask for."""
        show_ids, show_logprobs = self._shown
        if not show_ids:
            part.pop("prompt_token_ids", None)
        for choice in part["choices"]:
            if not show_ids:
                choice.pop("token_ids", None)
                choice.pop("prompt_token_ids", None)
            if not show_logprobs:
                choice["logprobs"] = None
        return part

    @cached_property
    def _shown(self) -> tuple[bool, bool]:
        """Ids and log-probabilities: what was asked for, or all where we asked for no more."""
        if not self.api.wish(self.body):
            return True, True
        ids = bool(self.body.get("return_token_ids"))
        return ids, self.api.wants_logprobs(self.body)


def read_ask(
    api: Api, raw: bytes, headers: Mapping[str, str], started: float, app: str | None = None
) -> Ask:
    body = read_object(raw)
    api.check(body)
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
    return Ask(
        api,
        body,
        user=user or headers.get(USER_HEADER) or None,
        conversation=conversation,
        started=started,
        app=app,
        compare=_compare(body, headers.get(COMPARE_HEADER)),
        headers=headers,
    )


def check_size(ask: Ask, max_chars: int) -> None:
    size = _size(ask.api.prompts(ask.body))
    if size > max_chars:
        raise PromptTooLarge(f"the prompt has {size} characters; expected at most {max_chars}")


def _size(value: object) -> int:
    """Of all texts in it; a token id counts as one."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_size, value.values()))
    return sum(map(_size, value)) if isinstance(value, list) else 1


def _compare(body: dict[str, Any], asked: str | None) -> str | None:
    if asked not in (None, "canary", "samples"):
        raise BadRequest(f"{COMPARE_HEADER} is {short(asked)}; expected canary or samples")
    if asked and body.get("n") not in (None, 1):
        raise BadRequest(f"n is {short(body['n'])}; expected 1 where answers are compared", "n")
    prompt = body.get("prompt")
    if asked and isinstance(prompt, list) and len(prompt) > 1 and not isinstance(prompt[0], int):
        said = f"prompt is a list of {len(prompt)}; expected one where answers are compared"
        raise BadRequest(said, "prompt")
    return asked


def read_object(raw: bytes) -> dict[str, Any]:
    try:
        body = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadRequest(f"the body is a JSON {type(body).__name__}; expected an object")
    return body
