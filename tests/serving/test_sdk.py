"""The official `openai` client works as it is: only its address is ours."""

from collections.abc import Iterator

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from tests.serving.gateway import Gateway, split
from tests.serving.scripted import IDS, WORDS

SAY_HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Say hello"}]


@pytest.fixture
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="any", max_retries=0) as client:
        yield client


def test_a_plain_answer(client: openai.OpenAI, gateway: Gateway) -> None:
    said = client.chat.completions.create(model="model", messages=SAY_HELLO, user="ann")
    assert said.choices[0].message.content == "".join(WORDS)
    assert said.choices[0].logprobs is None
    assert said.id == gateway.completions()[0].id


def test_a_stream(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(model="model", messages=SAY_HELLO, stream=True)
    words = [chunk.choices[0].delta.content for chunk in stream]
    assert "".join(word or "" for word in words) == "".join(WORDS)


def test_the_header_names_the_adapter(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="model", messages=SAY_HELLO)
    assert raw.headers["x-thumbwheel-adapter"] == raw.parse().model == "model-v1"


def test_logprobs_on_request(client: openai.OpenAI) -> None:
    said = client.chat.completions.create(model="model", messages=SAY_HELLO, logprobs=True)
    logprobs = said.choices[0].logprobs
    assert logprobs is not None and logprobs.content is not None
    assert len(logprobs.content) == len(IDS)


def test_the_list_of_models(client: openai.OpenAI, gateway: Gateway) -> None:
    assert [model.id for model in client.models.list()] == ["model", "model-v1"]
    gateway.decide(split(2, "base", canary="model-v2", share_percent=1))
    assert [model.id for model in client.models.list()] == ["model", "model-v2"]


def test_errors_are_the_errors_of_openai(client: openai.OpenAI, gateway: Gateway) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="gpt-9", messages=SAY_HELLO)
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError, match="messages is 'hi'"):
        client.chat.completions.create(model="model", messages="hi")  # type: ignore[arg-type]
    gateway.engine.refuses["model-v1"] = 400
    with pytest.raises(openai.BadRequestError, match="could not be loaded"):
        client.chat.completions.create(model="model", messages=SAY_HELLO)


def test_a_stream_that_breaks_is_an_error_and_not_an_end(
    client: openai.OpenAI, gateway: Gateway
) -> None:
    gateway.engine.breaks_after = 1
    stream = client.chat.completions.create(model="model", messages=SAY_HELLO, stream=True)
    words: list[str | None] = []
    with pytest.raises(openai.APIError, match="on fire"):
        words.extend(chunk.choices[0].delta.content for chunk in stream)
    (completion,) = gateway.completions()
    assert (completion.answer, completion.finish_reason) == (WORDS[0], None)
    assert completion.error == "the engine is on fire"


@pytest.mark.anyio
async def test_the_async_client(gateway: Gateway) -> None:
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="any") as client:
        said = await client.chat.completions.create(model="model", messages=SAY_HELLO)
        assert said.choices[0].message.content == "".join(WORDS)
        stream = await client.chat.completions.create(
            model="model", messages=SAY_HELLO, stream=True
        )
        words = [chunk.choices[0].delta.content async for chunk in stream]
        assert "".join(word or "" for word in words) == "".join(WORDS)
