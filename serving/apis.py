"""The two ways to ask vLLM for an answer, and where each of them says what. Pure."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from serving.errors import BadRequest

# vLLM's own number for a token whose log-probability it did not compute; a stream leaves it out.
UNKNOWN_LOGPROB = -9999.0

Part = dict[str, Any]  # a whole answer, or one chunk of a streamed one, as vLLM says it
Said = dict[str, Any]  # one choice of a part


class Asked(NamedTuple):
    """What one choice answers: messages, or else its prompt among the parameters."""

    messages: tuple[dict[str, Any], ...]
    parameters: dict[str, Any]


class ChatApi:
    path = "/v1/chat/completions"
    prefix = "chatcmpl-"  # vLLM puts it before our request id

    def check(self, body: dict[str, Any]) -> None:
        messages = body.get("messages")
        if not isinstance(messages, list) or not all(isinstance(one, dict) for one in messages):
            raise BadRequest(
                f"messages is {short(messages)}; expected a list of objects", "messages"
            )

    def prompts(self, body: dict[str, Any]) -> object:
        return body["messages"]

    def wish(self, body: dict[str, Any]) -> dict[str, Any]:
        """To be told what training needs to know of the answer."""
        return {"logprobs": True, "return_token_ids": True}

    def asked(self, body: dict[str, Any], index: int) -> Asked:
        return Asked(tuple(body["messages"]), _parameters(body, "messages"))

    def wants_logprobs(self, body: dict[str, Any]) -> bool:
        return bool(body.get("logprobs"))

    def words(self, said: Said) -> dict[str, Any]:
        return said.get("delta") or said.get("message") or {}

    def logprobs(self, said: Said) -> Iterable[float]:
        tokens = (said.get("logprobs") or {}).get("content") or ()
        return [token.get("logprob", UNKNOWN_LOGPROB) for token in tokens]


class TextApi:
    path = "/v1/completions"
    prefix = "cmpl-"

    def check(self, body: dict[str, Any]) -> None:
        prompt = body.get("prompt")
        if not isinstance(prompt, str | list) or not prompt:
            raise BadRequest(
                f"prompt is {short(prompt)}; expected a text, token ids, or a list of either",
                "prompt",
            )
        if not isinstance(body.get("n"), int | None):  # by it the choices find their prompts
            raise BadRequest(f"n is {short(body['n'])}; expected a whole number", "n")

    def prompts(self, body: dict[str, Any]) -> object:
        return body["prompt"]

    def wish(self, body: dict[str, Any]) -> dict[str, Any]:
        if body.get("echo"):  # the prompt's would come along, and not all engines can compute them
            return {}
        asked = body.get("logprobs")
        return {"logprobs": 0 if asked is None else asked, "return_token_ids": True}

    def asked(self, body: dict[str, Any], index: int) -> Asked:
        prompt = body["prompt"]
        if not isinstance(prompt, str) and not isinstance(prompt[0], int):  # several prompts
            prompt = prompt[index // max(body.get("n") or 1, 1)]
        return Asked((), {"prompt": prompt} | _parameters(body, "prompt"))

    def wants_logprobs(self, body: dict[str, Any]) -> bool:
        return body.get("logprobs") is not None

    def words(self, said: Said) -> dict[str, Any]:
        return {"content": said.get("text")}

    def logprobs(self, said: Said) -> Iterable[float]:
        found = (said.get("logprobs") or {}).get("token_logprobs") or ()
        return [UNKNOWN_LOGPROB if one is None else one for one in found]


Api = ChatApi | TextApi
CHAT, TEXT = ChatApi(), TextApi()
_NOT_PARAMETERS = {"model", "user", "stream", "stream_options"}


def _parameters(body: dict[str, Any], prompt: str) -> dict[str, Any]:
    """How the answer was to be sampled."""
    return {
        name: value
        for name, value in body.items()
        if name not in _NOT_PARAMETERS and name != prompt
    }


def short(value: object) -> str:
    got = repr(value)
    return got if len(got) <= 80 else got[:77] + "..."
