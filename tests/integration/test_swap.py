"""Adapters come and go under load: no answer fails, is mixed, or counts for another adapter."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from feedback.events import Completion, decode, encode
from feedback.log import Log, open_log, read_all
from serving.split import SPLIT_KEY
from tests.integration.alone import Gateway, gateway
from tests.integration.attribution import Heard
from tests.integration.engine import RunningEngine
from tests.integration.swapping import Plan, run
from tests.integration.telling import telling_engine
from tests.integration.tiny import make_adapter
from tests.serving.gateway import split, until

pytestmark = [pytest.mark.integration, pytest.mark.alone]


def test_a_hundred_changes_and_twenty_new_adapters_harm_no_stream(tmp_path: Path) -> None:
    with telling_engine(tmp_path) as engine, gateway(tmp_path, engine) as placed:
        done = run(placed, Plan())
    assert done.complaints == []
    # Or it would show nothing: all had their turn, and every change was felt.
    assert set(done.adapters) == {f"model-v{number}" for number in range(1, 22)}
    assert set(done.revisions) == set(range(1, 102))


ADAPTERS = ["model-v1", *(f"model-v{number}" for number in range(32, 37))]
REQUESTS = 300
QUESTIONS = ["Who are you?", "Say hello", "How are you?", "there"]
TOKENS = 16


@dataclass(frozen=True)
class Asked:
    question: str
    heard: Heard


def test_real_adapters_published_under_load_each_say_what_they_say_alone(
    tmp_path: Path, vllm: RunningEngine, adapter: str
) -> None:
    with (
        gateway(tmp_path, vllm.url) as placed,
        closing(open_log(placed.log)) as log,
        ThreadPoolExecutor(6) as readers,
    ):
        assert ADAPTERS[0] == adapter
        asked = []
        for number, (old, new) in enumerate(pairwise(ADAPTERS), start=1):
            share = REQUESTS // (len(ADAPTERS) - 1)
            under_way = [readers.submit(ask, placed, share * number + n) for n in range(share)]
            make_adapter(vllm.model, vllm.adapters, new, seed=number + 1)
            more = {"canary": new, "share_percent": 50}
            decide(placed, log, 2 * number, old, more)
            until(lambda: sum(one.done() for one in under_way) > share * 2 // 3, 120)  # noqa: B023 (at once)
            decide(placed, log, 2 * number + 1, new, {})
            asked += [one.result() for one in under_way]
        alone = {(who, said): say_alone(vllm, who, said) for who in ADAPTERS for said in QUESTIONS}
        until(lambda: len(list(read_all(log, "completions"))) == len(asked), 30)
        kept = {one.id: one for one in map(completion, read_all(log, "completions"))}
    assert len(asked) == len(kept) == REQUESTS
    for said in QUESTIONS:  # or it would show nothing
        assert len({alone[who, said] for who in ADAPTERS}) == len(ADAPTERS)
    for one in asked:
        (id,) = one.heard.ids
        assert one.heard.models == {one.heard.header} == {kept[id].adapter}
        assert one.heard.text == kept[id].answer
        assert (one.heard.text, kept[id].answer_ids) == alone[one.heard.header, one.question]
    assert {one.heard.header for one in asked} == set(ADAPTERS)


def ask(placed: Gateway, number: int) -> Asked:
    question = QUESTIONS[number % len(QUESTIONS)]
    body = chat("model", question) | {"user": f"user-{number}", "stream": True}
    answer = httpx.post(f"{placed.url}/v1/chat/completions", json=body, timeout=120)
    assert answer.status_code == 200, answer.text
    heard = Heard(header=answer.headers["x-thumbwheel-adapter"])
    heard.take(answer.content)
    assert heard.ended
    return Asked(question, heard)


def decide(placed: Gateway, log: Log, revision: int, stable: str, more: dict[str, Any]) -> None:
    log.append("split", SPLIT_KEY, encode(split(revision, stable, **more)))
    until(lambda: placed.metric("thumbwheel_serving_split_revision") == revision, 30)


def say_alone(vllm: RunningEngine, adapter: str, question: str) -> tuple[str, tuple[int, ...]]:
    """Text and ids, without us, and with nobody beside it."""
    body = chat(adapter, question) | {"return_token_ids": True}
    answer = httpx.post(f"{vllm.url}/v1/chat/completions", json=body, timeout=120).json()
    (choice,) = answer["choices"]
    return choice["message"]["content"], tuple(choice["token_ids"])


def chat(model: str, question: str) -> dict[str, Any]:
    messages = [{"role": "user", "content": question}]
    sampled = {"max_tokens": TOKENS, "temperature": 0, "ignore_eos": True}
    return {"model": model, "messages": messages} | sampled


def completion(record: Any) -> Completion:
    return decode(record.value, (Completion,))
