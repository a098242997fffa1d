"""Two answers side by side: whose they are, what is told of them, what is remembered."""

import json
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from feedback.events import Comparison, Completion, decode
from feedback.privacy import pseudonym
from serving.apis import CHAT, TEXT, Api, Part
from serving.ask import Ask, read_ask
from serving.chat import Chat
from serving.compare import Compare
from serving.errors import BadRequest, EngineError, EngineRefused
from serving.metrics import Metrics
from serving.split import Split
from serving.tokens import Tokens
from serving.turn import Headers
from tests.serving.gateway import MESSAGES, SECRET, Gateway, split, until
from tests.serving.scripted import IDS, WORDS

CANARY = split(2, canary="model-v2", share_percent=10)
UNDRAWN = split(2, canary="model-v2", share_percent=0)
TOKENS = Tokens({"0": b"a key for tests"})


@dataclass
class Fake:
    """An engine and a spool in one: it knows what was asked, and what was remembered."""

    fails: dict[str, EngineError] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    kept: list[Completion] = field(default_factory=list)

    async def answer(
        self, api: Api, adapter: str, body: dict[str, Any], request_id: str, headers: Headers = ()
    ) -> AsyncGenerator[list[Part]]:
        self.asked.append((adapter, body))
        if adapter in self.fails:
            raise self.fails[adapter]
        choice = {"index": 0, "message": {"content": f"by {adapter}"}, "finish_reason": "stop"}
        yield [{"id": f"{api.prefix}{request_id}", "model": adapter, "choices": [choice]}]

    def append_soon(self, topic: str, key: str, value: bytes) -> bool:
        self.kept.append(decode(value, (Completion,)))
        return True


def compare(fake: Fake, decided: Split = CANARY, **more: Any) -> Compare:
    chat = Chat("model", SECRET.encode(), lambda: decided, fake, fake, Metrics(), TOKENS, 60.0)
    return Compare(chat, **more)


def ask(said: str = "canary", **more: Any) -> Ask:
    body = {"model": "model", "messages": MESSAGES} | more
    return read_ask(CHAT, json.dumps(body).encode(), {"x-thumbwheel-compare": said}, 0.0)


async def told(mine: Compare, asked: Ask) -> Part:
    ((found,),) = [batch async for batch in mine.answer(asked)]
    return found


def swapped(adapters: list[str]) -> None:
    adapters.reverse()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("shuffle", "order"),
    [(lambda _: None, ["model-v1", "model-v2"]), (swapped, ["model-v2", "model-v1"])],
)
async def test_stable_and_canary_answer_in_the_order_that_was_drawn(
    shuffle: Callable[[list[str]], None], order: list[str]
) -> None:
    fake = Fake()
    found = await told(compare(fake, shuffle=shuffle), ask())
    texts = [choice["message"]["content"] for choice in found["choices"]]
    assert texts == [f"by {adapter}" for adapter in order]
    assert found["compared"] == "canary"
    kept = {one.id: (one.adapter, one.answer, one.split_revision) for one in fake.kept}
    assert kept == {
        found["id"]: (order[0], texts[0], None),
        f"{found['id']}.1": (order[1], texts[1], None),
    }


@pytest.mark.anyio
async def test_each_order_is_drawn_about_as_often() -> None:
    fake = Fake()
    mine = compare(fake)
    for _ in range(200):
        await told(mine, ask())
    firsts = [one.adapter for one in fake.kept if "." not in one.id]
    assert len(firsts) == 200
    assert 50 < firsts.count("model-v2") < 150  # else luck of one in 10¹²


SAMPLES = {
    "there is no canary": (split(2), "canary", "model", "model-v1"),
    "samples are asked for": (UNDRAWN, "samples", "model", "model-v1"),
    "an adapter is named": (CANARY, "canary", "model-v7", "model-v7"),
}


@pytest.mark.anyio
@pytest.mark.parametrize("why", SAMPLES)
async def test_one_adapter_gives_both_where(why: str) -> None:
    decided, said, model, adapter = SAMPLES[why]
    fake = Fake()
    found = await told(compare(fake, decided), ask(said, model=model))
    assert found["compared"] == "samples"
    assert [one.adapter for one in fake.kept] == [adapter] * 2
    assert [one.split_revision for one in fake.kept] == [None] * 2


@pytest.mark.anyio
@pytest.mark.parametrize("share", [0, 100])
async def test_two_samples_are_of_the_users_own_adapter(share: int) -> None:
    fake, decided = Fake(), split(2, canary="model-v2", share_percent=share)
    await told(compare(fake, decided), ask("samples", user="ann"))
    assert {one.adapter for one in fake.kept} == {"model-v2" if share else "model-v1"}


@pytest.mark.anyio
@pytest.mark.parametrize("status", [400, 404, 409, 422])
async def test_a_canary_that_cannot_be_loaded_leaves_two_samples_of_stable(status: int) -> None:
    fake = Fake({"model-v2": EngineRefused(status, {"message": "no such adapter"})})
    found = await told(compare(fake), ask())
    assert found["compared"] == "samples"
    texts = [choice["message"]["content"] for choice in found["choices"]]
    assert texts == ["by model-v1"] * 2
    by_id = {one.id: one.adapter for one in fake.kept}
    assert (by_id[found["id"]], by_id[f"{found['id']}.1"]) == ("model-v1", "model-v1")


@pytest.mark.anyio
@pytest.mark.parametrize("fails", [{"model-v1": 400, "model-v2": 400}, {"model-v2": 503}])
async def test_what_is_no_fault_of_the_canarys_loading_is_told(fails: dict[str, int]) -> None:
    fake = Fake({name: EngineRefused(status, {"message": name}) for name, status in fails.items()})
    with pytest.raises(EngineRefused):
        await told(compare(fake), ask())
    if 503 in fails.values():
        assert [one.adapter for one in fake.kept if one.error == "model-v2"] == ["model-v2"]


@pytest.mark.anyio
async def test_one_seed_does_not_make_two_samples_the_same() -> None:
    fake = Fake()
    await told(compare(fake), ask("samples", seed=7))
    assert sorted(body["seed"] for _, body in fake.asked) == [7, 8]
    assert sorted(one.parameters["seed"] for one in fake.kept) == [7, 8]  # type: ignore[type-var]  # JSON
    await told(compare(fake), ask("samples"))
    assert all("seed" not in body for _, body in fake.asked[2:])


@pytest.mark.anyio
@pytest.mark.parametrize("user", ["ann", None])
async def test_both_answers_and_their_token_are_of_the_user_who_asked(user: str | None) -> None:
    fake = Fake()
    found = await told(compare(fake), ask(user=user))
    grant = TOKENS.read(found["feedback_token"], 0)
    assert grant.group == found["id"]
    assert {one.user for one in fake.kept} == {grant.user}
    if user:
        assert grant.user == pseudonym(SECRET.encode(), user)


@pytest.mark.parametrize("n", [0, 2, "1"])
def test_what_is_compared_are_two_answers_and_no_more(n: object) -> None:
    with pytest.raises(BadRequest, match="expected 1 where answers are compared"):
        ask(n=n)
    assert ask(n=1).compare == "canary"
    with pytest.raises(BadRequest, match="is 'both'; expected canary or samples"):
        ask("both")


def test_several_prompts_cannot_be_compared() -> None:
    # Each would have two answers, and two completions would have one id.
    for prompt in (["a", "b"], [[1], [2]]):
        body = json.dumps({"model": "model", "prompt": prompt}).encode()
        with pytest.raises(BadRequest, match="prompt"):
            read_ask(TEXT, body, {"x-thumbwheel-compare": "canary"}, 0.0)


HEADER = {"x-thumbwheel-compare": "canary"}


def all_said(response: httpx.Response) -> str:
    return response.text + str(response.headers)


def test_whole_answers_through_the_gateway_name_no_adapter(gateway: Gateway) -> None:
    gateway.decide(CANARY)
    response = gateway.ask(headers=HEADER, logprobs=True, user="ann")
    said = response.json()
    assert response.headers["x-thumbwheel-compare"] == said["compared"] == "canary"
    assert response.headers["x-thumbwheel-completion"] == said["id"]
    assert "x-thumbwheel-adapter" not in response.headers
    assert "model-v" not in all_said(response) and said["model"] == "model"
    assert [choice["index"] for choice in said["choices"]] == [0, 1]
    assert said["usage"]["completion_tokens"] == 2 * len(WORDS)
    assert said["usage"]["prompt_tokens"] == 3
    kept = {one.id: one for one in gateway.completions(2)}
    assert set(kept) == {said["id"], f"{said['id']}.1"}
    assert {one.adapter for one in kept.values()} == {"model-v1", "model-v2"}
    assert {one.split_revision for one in kept.values()} == {None}
    assert all(one.answer_ids == IDS for one in kept.values())


def test_streamed_answers_through_the_gateway_name_no_adapter(gateway: Gateway) -> None:
    gateway.decide(CANARY)
    response, parts = gateway.stream(headers=HEADER, stream_options={"include_usage": True})
    assert parts[0]["compared"] == "canary"
    assert response.headers["x-thumbwheel-feedback"] == parts[0]["feedback_token"]
    assert "model-v" not in all_said(response)
    assert {(part["id"], part["model"]) for part in parts} == {(parts[0]["id"], "model")}
    said = {0: "", 1: ""}
    for part in parts:
        for choice in part["choices"]:
            said[choice["index"]] += choice["delta"]["content"]
    assert said == dict.fromkeys((0, 1), "".join(WORDS))
    assert [part["usage"]["total_tokens"] for part in parts if part.get("usage")] == [9]
    assert len(gateway.completions(2)) == 2


def test_a_side_that_fails_in_the_middle_ends_both_with_an_error(gateway: Gateway) -> None:
    gateway.decide(CANARY)
    gateway.engine.breaks_after = 1
    response = gateway.ask(headers=HEADER, stream=True)
    assert "on fire" in response.text and "[DONE]" not in response.text
    kept = gateway.completions(2)
    assert {one.adapter for one in kept} == {"model-v1", "model-v2"}
    assert all(one.finish_reason is None and one.error for one in kept)


def test_a_reader_who_hangs_up_closes_both_requests(gateway: Gateway) -> None:
    gateway.decide(CANARY)
    gateway.engine.word_seconds = 0.2
    body = {"model": "model", "messages": MESSAGES, "stream": True}
    with gateway.http.stream("POST", "/v1/chat/completions", json=body, headers=HEADER) as said:
        next(said.iter_lines())
    until(lambda: gateway.engine.left == 2)
    assert [one.error for one in gateway.completions(2)] == ["client closed"] * 2


def better(gateway: Gateway, **said: Any) -> httpx.Response:
    return gateway.http.post("/v1/comparisons", json=said)


def test_the_token_is_all_that_it_takes_to_say_which_is_better(gateway: Gateway) -> None:
    said = gateway.ask(headers=HEADER, user="ann").json()
    token, first = said["feedback_token"], said["id"]
    assert better(gateway, token=token, winner="b").status_code == 202
    assert better(gateway, token=token, winner="tie", key="k").json()["id"] == "k"
    assert better(gateway, completion_id=first, other_id=f"{first}.2", winner="a").is_success
    until(lambda: len(gateway.verdicts()) == 3)
    found = [one for one in gateway.verdicts() if isinstance(one, Comparison)]
    ann = pseudonym(SECRET.encode(), "ann")
    assert [(one.completion_id, one.other_id, one.winner, one.user) for one in found] == [
        (first, f"{first}.1", "b", ann),
        (first, f"{first}.1", "tie", ann),
        (first, f"{first}.2", "a", None),
    ]


def test_a_comparison_that_says_nothing_is_refused_in_words(undecided: Gateway) -> None:
    wrong = [
        ({"completion_id": "c"}, "winner is missing; expected"),
        ({"completion_id": "c", "winner": "c"}, 'winner is \'c\'; expected "a", "b", "tie"'),
        ({"winner": "a"}, "completion_id is missing; expected the id of an answer"),
        ({"completion_id": "c", "winner": "a", "thumb": "up"}, "thumb is not a field of a verdict"),
        ({"completion_id": "c", "other_id": "d", "winner": "a"}, "is of another request than 'c'"),
        ({"completion_id": "c", "other_id": "c", "winner": "a"}, "c"),
    ]
    for said, complaint in wrong:
        response = better(undecided, **said)
        assert response.status_code == 422
        assert complaint in response.json()["error"]["message"]
    assert undecided.verdicts() == []
