"""What vLLM 0.32 says to a chat request, field for field, made once and said ever after. Pure."""

import json
from functools import cache
from typing import Any, NamedTuple

PROMPT_IDS = list(range(100_000, 100_060))  # a short question in its chat template
DONE = b"data: [DONE]\n\n"
_CREATED = 1_795_000_000


class Shape(NamedTuple):
    """What an answer depends on besides its names. A token is a chunk of a stream."""

    tokens: int
    ids: bool  # return_token_ids
    logprobs: bool


def text(tokens: int) -> str:
    return "".join(map(_word, range(tokens)))


def head(kind: str, name: str, model: str) -> bytes:
    """The beginning of an answer, or of one chunk of it: what only its request knows."""
    said = {"id": name, "object": kind, "created": _CREATED, "model": model}
    return _json(said)[:-1] + b","


@cache
def whole(shape: Shape) -> bytes:
    """What comes behind the head."""
    usage = {
        "prompt_tokens": len(PROMPT_IDS),
        "total_tokens": len(PROMPT_IDS) + shape.tokens,
        "completion_tokens": shape.tokens,
    } | dict.fromkeys(("prompt_tokens_details", "completion_tokens_details"))
    silent = ("refusal", "annotations", "audio", "function_call", "reasoning")
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text(shape.tokens)} | dict.fromkeys(silent),
        "logprobs": _logprobs(shape, range(shape.tokens)),
        "finish_reason": "length",
        "stop_reason": None,
        "token_ids": _ids(shape, range(shape.tokens)),
        "routed_experts": None,
    }
    said = {"choices": [choice], "service_tier": None, "system_fingerprint": None, "usage": usage}
    told = {"prompt_logprobs": None, "prompt_token_ids": _prompt_ids(shape)}
    left_out = ("prompt_text", "kv_transfer_params", "ec_transfer_params", "metrics")
    return _tail(said | told | dict.fromkeys(left_out))


@cache
def chunks(shape: Shape) -> list[bytes]:
    """What comes behind the head in each chunk: one that opens the stream, and one a token."""
    delta = {"role": "assistant", "content": ""}
    opening = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
    first: dict[str, Any] = {
        "choices": [opening],
        "prompt_token_ids": _prompt_ids(shape),
        "prompt_text": None,
    }
    words = [{"choices": [_choice(shape, place)]} for place in range(shape.tokens)]
    return [_tail(one) for one in (first, *words)]


def _choice(shape: Shape, place: int) -> dict[str, Any]:
    here = range(place, place + 1)
    last = place == shape.tokens - 1
    return {
        "index": 0,
        "delta": {"content": _word(place)},
        "logprobs": _logprobs(shape, here),
        "finish_reason": "length" if last else None,
        **({"stop_reason": None} if last else {}),
        "token_ids": _ids(shape, here),
    }


def _word(place: int) -> str:
    return f" word{place}"


def _ids(shape: Shape, places: range) -> list[int] | None:
    return [10_000 + place for place in places] if shape.ids else None


def _prompt_ids(shape: Shape) -> list[int] | None:
    return PROMPT_IDS if shape.ids else None


def _logprobs(shape: Shape, places: range) -> dict[str, Any] | None:
    if not shape.logprobs:
        return None
    return {"content": [_logprob(place) for place in places]}


def _logprob(place: int) -> dict[str, Any]:
    token = _word(place)
    found = {"token": token, "logprob": -1 / (place + 3), "bytes": list(token.encode())}
    return found | {"top_logprobs": []}


def _tail(said: dict[str, Any]) -> bytes:
    return _json(said)[1:]


def _json(said: dict[str, Any]) -> bytes:
    return json.dumps(said, separators=(",", ":")).encode()
