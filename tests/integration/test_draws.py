"""Rounds whose fresh answers real vLLM draws, out of what its users leave of it."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import httpx
import pytest

from feedback.events import BASE
from tests.integration.engine import RunningEngine, running_engine
from tests.trainer.compared import plan_of
from tests.trainer.tiny import example, quiet, settle
from trainer.adapters import DRAFTS
from trainer.by_engines import by_engines
from trainer.course import Places
from trainer.endings import RoundFailed
from trainer.load import load_policy
from trainer.plan import Plan
from trainer.ranks import ALONE
from trainer.run import Round, run_round
from trainer.settings import Engines
from trainer.spare import Pace

pytestmark = [pytest.mark.integration, pytest.mark.alone]
PLAN = plan_of("rloo", learning_rate=1e-3, reward_learning_rate=1e-3, max_new_tokens=16)
PROMPTS = [(5, 6, 7, 10 + number) for number in range(40)]


PACE = Pace(
    at_once=4,
    per_second=None,
    users=0,
    quiet_seconds=1.0,
    met_share=1.0,
    patience_seconds=300.0,
)


def engines(url: str) -> Engines:
    return Engines((url,), None, PACE)


@pytest.fixture
def places(vllm: RunningEngine, tmp_path: Path) -> Places:
    """The engine's own adapters, or it would find no draft."""
    found = Places(
        str(vllm.model), "drawn", tmp_path / "examples", vllm.adapters, tmp_path / "state"
    )
    rate(found)
    return found


def rate(places: Places) -> None:
    """Who likes even ids, of answers of random ones."""
    random = Random(0)
    said = []
    for number in range(80):
        ids = [random.randrange(3, 200) for _ in range(6)]
        even = sum(one % 2 == 0 for one in ids)
        prompt = list(PROMPTS[number % 40])
        said.append(example(number, prompt_ids=prompt, answer_ids=ids, logprobs=[], up=even > 3))
    settle(places.examples, said, start=0, end=80)
    places.state.mkdir()


def learn(places: Places, asked: Engines, plan: Plan = PLAN) -> Round:
    return run_round(replace(places, engines=asked), BASE, plan, tell=quiet)


def test_what_the_engine_draws_is_the_policys_own_as_it_is_by_then(
    vllm: RunningEngine, places: Places
) -> None:
    made = learn(places, engines(vllm.url)).manifest
    assert made is not None
    gaps, trust = made.curves["engine_gap"], made.curves["importance"]
    assert len(gaps) == 2
    assert max(gaps) < 1e-3  # in float32; in the second epoch it is another policy than the parent
    assert trust == pytest.approx([1.0, 1.0], abs=1e-3)
    assert abs(made.curves["rollout_kl"][1]) > 1e-4
    assert not [*(places.adapters / DRAFTS).iterdir()]  # they go when the round ends


def test_an_engine_that_reads_another_store_is_told_from_one_that_is_busy(
    vllm: RunningEngine, places: Places, tmp_path: Path
) -> None:
    elsewhere = replace(places, adapters=tmp_path / "other", series="elsewhere")
    ask = by_engines(engines(vllm.url), elsewhere, ALONE)
    with pytest.raises(RoundFailed, match=r"generate is 404: .*elsewhere-draft-.* does not exist"):
        ask(load_policy(places.base, None, PLAN), PROMPTS, 0)


def load(url: str) -> int:
    # To read the world's certificates each time takes as long as an answer.
    return int(httpx.get(f"{url}/load", trust_env=False, verify=False).json()["server_load"])


def test_a_user_who_comes_has_the_engine_alone(vllm: RunningEngine, places: Places) -> None:
    plan = PLAN.model_copy(update={"max_new_tokens": 200})
    ask = by_engines(engines(vllm.url), places, ALONE)
    with ThreadPoolExecutor(1) as pool:
        drawing = pool.submit(ask, load_policy(places.base, None, plan), PROMPTS, 0)
        until(lambda: load(vllm.url) > 0)
        with a_user(vllm):
            until(lambda: is_alone(vllm.url))
        found = drawing.result(300)
    assert [text.prompt_ids for text in found.texts] == PROMPTS
    assert found.logprobs is not None
    assert [len(one) for one in found.logprobs] == [len(text.answer_ids) for text in found.texts]


def is_alone(url: str) -> bool:
    """For half a second: our four come and go together, but not for so long."""
    for _ in range(10):
        if load(url) > 1:
            return False
        time.sleep(0.05)
    return True


@contextmanager
def a_user(vllm: RunningEngine) -> Iterator[None]:
    """Who asks again and again, until this ends."""
    body = {"model": "model", "prompt": [5, 6, 7], "max_tokens": 200, "ignore_eos": True}
    enough = threading.Event()

    def ask() -> None:
        with httpx.Client(trust_env=False, timeout=60) as http:
            while not enough.is_set():
                http.post(f"{vllm.url}/v1/completions", json=body).raise_for_status()

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        enough.set()
        asking.join()


def until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_an_engine_that_is_killed_midway_and_started_again_ends_the_round_well(
    tiny_model: Path, tmp_path: Path
) -> None:
    places = Places(
        str(tiny_model), "drawn", tmp_path / "examples", tmp_path / "adapters", tmp_path / "state"
    )
    places.adapters.mkdir()
    rate(places)
    plan = PLAN.model_copy(update={"max_new_tokens": 120})
    with ThreadPoolExecutor(1) as pool:
        with running_engine(tiny_model, places.adapters, tmp_path / "one.log") as engine:
            port = engine.url.rpartition(":")[2]
            drawing = pool.submit(learn, places, engines(engine.url), plan)
            until(lambda: load(engine.url) > 0, 120)
            os.killpg(engine.process.pid, signal.SIGKILL)
        with running_engine(tiny_model, places.adapters, tmp_path / "two.log", port=int(port)):
            made = drawing.result(300).manifest
    assert made is not None
    assert len(made.curves["engine_gap"]) == 2
