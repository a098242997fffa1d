"""The scripted engine says what vLLM's own classes would say."""

import json
from typing import Any

import pytest

from tests.bench.gateway.answers import Shape, chunks, head, whole

ASKED = Shape(tokens=3, ids=True, logprobs=True)
PLAIN = Shape(tokens=3, ids=False, logprobs=False)


def _said(kind: str, tail: bytes) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(head(kind, "chatcmpl-1", "model-v1") + tail)
    return said


@pytest.mark.integration  # vLLM takes seconds to import, and torch warns of itself
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("shape", [ASKED, PLAIN])
def test_a_whole_answer_has_every_field_of_vllms_in_its_order(shape: Shape) -> None:
    from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionResponse

    said = _said("chat.completion", whole(shape))
    theirs = ChatCompletionResponse.model_validate(said).model_dump_json()
    assert json.dumps(said) == json.dumps(json.loads(theirs))


@pytest.mark.integration
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("shape", [ASKED, PLAIN])
def test_each_chunk_is_one_of_vllms(shape: Shape) -> None:
    from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionStreamResponse

    for tail in chunks(shape):
        said = _said("chat.completion.chunk", tail)
        theirs = ChatCompletionStreamResponse.model_validate(said)
        assert json.loads(theirs.model_dump_json(exclude_unset=True)) == said
        assert theirs.model_extra == {}


def test_ids_and_log_probabilities_are_told_only_where_they_are_asked_for() -> None:
    for shape in (ASKED, PLAIN):
        (choice,) = _said("chat.completion", whole(shape))["choices"]
        assert (choice["token_ids"] is not None) == shape.ids
        assert (choice["logprobs"] is not None) == shape.logprobs


def test_one_chunk_opens_a_stream_and_each_token_has_its_own() -> None:
    said = [_said("chat.completion.chunk", tail)["choices"][0] for tail in chunks(ASKED)]
    assert [one["delta"]["content"] for one in said] == ["", " word0", " word1", " word2"]
    assert [one.get("token_ids") for one in said] == [None, [10_000], [10_001], [10_002]]
