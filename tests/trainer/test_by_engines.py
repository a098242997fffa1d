"""Rounds whose answers a scripted engine says, whatever the policy thinks of them."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from feedback.events import BASE
from tests.trainer.compared import judged_by_users, plan_of
from tests.trainer.scripted import Scripted, logprob, serving
from tests.trainer.tiny import quiet
from trainer.adapters import DRAFTS
from trainer.by_engines import by_engines
from trainer.checkpoint import Checkpoint
from trainer.endings import NobodyAnswers, RoundFailed
from trainer.load import load_policy
from trainer.ranks import ALONE
from trainer.run import Places, run_round
from trainer.settings import Engines
from trainer.spare import Pace

PROMPTS = [(5, 6, 7, 10 + number) for number in range(40)]
ANY_GAP = {"max_logprob_gap": 1e6}  # it is no policy at all
PACE = Pace(
    at_once=4,
    per_second=None,
    users=0,
    quiet_seconds=0.0,
    met_share=1.0,
    patience_seconds=0.7,
)


@contextmanager
def scripted() -> Iterator[Scripted]:
    """In a thread: a round blocks its own."""
    engine = Scripted([list(prompt) for prompt in PROMPTS], most=8, token_seconds=0.0)
    loop, ready = asyncio.new_event_loop(), threading.Event()
    over = asyncio.Event()

    async def serve() -> None:
        async with serving(engine):
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait(10)
    try:
        yield engine
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()


def asked(engine: Scripted) -> Engines:
    return Engines((engine.url,), SecretStr("key"), PACE)


def asking(places: Places, engine: Scripted) -> Places:
    return replace(places, engines=asked(engine))


def test_a_round_whose_engines_went_away_fails_and_the_next_goes_on_after_its_last_epoch(
    places: Places,
) -> None:
    judged_by_users(Path(places.base), places.examples, 120)
    plan = plan_of("rloo", epochs=2, **ANY_GAP)
    with scripted() as engine:

        def dies(step: str, done: int, of: int) -> None:
            if step.startswith("drift after epoch 1") and done:
                engine.status = 503

        with pytest.raises(NobodyAnswers, match=r"drew anything in 0.7 s, 0 of 48 answers"):
            run_round(asking(places, engine), BASE, plan, tell=dies)
        saved = Checkpoint(places.state).read()
        assert saved is not None and saved.state.epochs == 1
        engine.status, before = 200, len(engine.bodies)
        made = run_round(asking(places, engine), BASE, plan, tell=quiet).manifest
        assert made is not None
        assert len(engine.bodies) - before == 48  # of the second epoch alone
        assert len(made.curves["engine_gap"]) == 2
    assert Checkpoint(places.state).read() is None
    assert not [*(places.adapters / DRAFTS).iterdir()]


def test_an_engine_that_answers_as_no_policy_would_ends_the_round(places: Places) -> None:
    judged_by_users(Path(places.base), places.examples, 120)
    with scripted() as engine, pytest.raises(RoundFailed) as told:
        run_round(asking(places, engine), BASE, plan_of("online_dpo"), tell=quiet)
    assert "the engine's log-probabilities are off by" in str(told.value)
    assert "expected at most max_logprob_gap, 0.25" in str(told.value)


def test_what_it_draws_has_the_engines_ids_and_log_probabilities(places: Places) -> None:
    with scripted() as engine:
        plan = plan_of("rloo")
        policy = load_policy(places.base, None, plan)
        texts, logprobs = by_engines(asked(engine), places, ALONE)(policy, PROMPTS, 3)
    assert [text.prompt_ids for text in texts] == PROMPTS
    assert logprobs == [[*map(logprob, text.answer_ids)] for text in texts]
    assert {body["model"] for body in engine.bodies} == {engine.bodies[0]["model"]}
    assert engine.bodies[0]["sampling_params"]["max_tokens"] == plan.max_new_tokens
