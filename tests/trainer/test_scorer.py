import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, nullcontext
from itertools import count
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch

from feedback.events import BASE, Score
from feedback.log import COMPLETIONS, Log, open_log
from ops.drift import Drift, Scores
from tests.trainer.live import answered, move, publish_strange, scores, serve
from tests.trainer.tiny import PLAN
from trainer.batch import Text
from trainer.load import load_policy
from trainer.lora_files import WEIGHTS
from trainer.parent import SplitReader
from trainer.policy import Policy
from trainer.scales import Scales
from trainer.scorer import LiveScorer

STABLE, CANARY = "tiny-v1", "tiny-v2"
PROMPTS = [(5, 6, 7), (10,), (13, 14, 15, 16), (20, 21), (30, 31, 32)]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    with closing(open_log(f"sqlite:///{tmp_path}/log.db")) as opened:
        yield opened


@pytest.fixture(scope="module")
def published(base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Policy, Policy]:
    """Two adapters in a store, which is not to be changed, and the models that they are."""
    store = tmp_path_factory.mktemp("adapters")
    stable, canary = (publish_strange(base, store, f"tiny-v{n}", seed=n) for n in (1, 2))
    return store, stable, canary


@pytest.fixture(scope="module")
def scales(base: Path) -> Scales:
    return Scales(str(base), PLAN)


def begin(log: Log, store: Path, scales: Scales) -> LiveScorer:
    """As a process begins: at the end of the log."""
    scorer = LiveScorer(log, SplitReader(log, "tiny"), store, scales, most_tokens=64)
    assert scorer.turn() == 0
    return scorer


def judged(
    log: Log, scorer: LiveScorer, policy: Policy, adapter: str, many: int = 60
) -> list[Score]:
    served = answered(policy, adapter, [PROMPTS[at % len(PROMPTS)] for at in range(many)])
    for at in range(0, many, 4):
        serve(log, served[at : at + 4])
        assert scorer.turn() == 4
    return scores(log)


def drifts(found: list[Score], adapter: str, stable: str) -> dict[str, Drift]:
    counted = Scores()
    for score in found:
        counted.add(score)
    return counted.drifts(adapter, stable)


def next_tokens(policy: Policy, *, lora: bool = True) -> torch.Tensor:
    """(P, V), log-probabilities as the plain model tells them: an answer is of one token."""
    with (
        torch.no_grad(),
        policy.lent() as model,
        nullcontext() if lora else model.disable_adapter(),
    ):
        logits = [model(torch.tensor([prompt])).logits[0, -1] for prompt in PROMPTS]
    return torch.stack(logits).log_softmax(-1)


def test_scores_are_what_the_trainer_computes(
    log: Log, published: tuple[Path, Policy, Policy], scales: Scales, base: Path
) -> None:
    store, stable, _ = published
    move(log, 1, STABLE, CANARY)
    scorer = begin(log, store, scales)
    long = load_policy(str(base), store / CANARY, PLAN)
    served = answered(long, CANARY, PROMPTS[:2]) + answered(stable, STABLE, PROMPTS[:2])
    serve(log, served)
    assert scorer.turn() == 4
    found = {score.completion_id: score for score in scores(log)}
    assert found.keys() == {one.id for one in served}
    for one in served:
        score, text = found[one.id], [Text(one.prompt_ids, one.answer_ids)]
        assert score.served == sum(one.logprobs)
        assert score.under_stable == pytest.approx(stable.logprobs(text).item(), abs=1e-4)
        assert score.under_base == pytest.approx(stable.logprobs(text, "base").item(), abs=1e-4)
        assert (score.adapter, score.stable) == (one.adapter, STABLE)
        assert score.tokens == len(one.answer_ids)
        assert not score.faithful  # the model's own generation_config brings a top_k with it


def test_a_canary_that_differs_has_its_exact_kl_within_the_interval(
    log: Log, published: tuple[Path, Policy, Policy], scales: Scales
) -> None:
    store, stable, canary = published
    move(log, 1, STABLE, CANARY)
    found = drifts(judged(log, begin(log, store, scales), canary, CANARY), CANARY, STABLE)
    mine = next_tokens(canary)
    for to, other in ("stable", next_tokens(stable)), ("base", next_tokens(canary, lora=False)):
        exact = (mine.exp() * (mine - other)).sum(1).mean().item()
        assert 0 < found[to].low < exact < found[to].high
        assert found[to].answers == 60


def test_a_canary_that_is_stable_by_another_name_has_not_drifted_from_it(
    log: Log, published: tuple[Path, Policy, Policy], scales: Scales
) -> None:
    store, stable, _ = published
    move(log, 1, STABLE, CANARY)
    found = drifts(judged(log, begin(log, store, scales), stable, CANARY, 20), CANARY, STABLE)
    assert found["stable"].low < 0 < found["stable"].high < 0.2
    assert found["base"].estimate > 0.2


def test_where_base_is_stable_both_are_one(
    log: Log, published: tuple[Path, Policy, Policy], scales: Scales
) -> None:
    store, _, canary = published
    move(log, 1, BASE, CANARY)
    for score in judged(log, begin(log, store, scales), canary, CANARY, 4):
        assert score.under_stable == score.under_base != score.served


def test_another_stable_is_put_on_the_same_model(
    log: Log, published: tuple[Path, Policy, Policy], scales: Scales
) -> None:
    store, stable, canary = published
    move(log, 1, STABLE)
    scorer = begin(log, store, scales)
    for revision, (name, policy) in enumerate([(STABLE, stable), (CANARY, canary)] * 2, start=2):
        move(log, revision, name)
        judged(log, scorer, policy, name, 4)
    found = scores(log)
    assert [score.stable for score in found[::4]] == [STABLE, CANARY] * 2
    gaps = [abs(score.served - score.under_stable) for score in found]
    assert max(gaps) < 1e-4
    assert fmean(abs(score.served - score.under_base) for score in found) > 0.1


def test_what_was_put_down_is_picked_up_again(
    log: Log, published: tuple[Path, Policy, Policy], base: Path
) -> None:
    store, _, canary = published
    move(log, 1, STABLE, CANARY)
    scales = Scales(str(base), PLAN)
    scales.put_down()  # nothing yet
    scorer = begin(log, store, scales)
    first = judged(log, scorer, canary, CANARY, 4)
    scales.put_down()
    again = judged(log, scorer, canary, CANARY, 4)[4:]
    assert [one.under_stable for one in again] == [one.under_stable for one in first]


def test_loading_the_model_is_no_work_that_a_pause_must_follow(
    log: Log, published: tuple[Path, Policy, Policy], base: Path
) -> None:
    store, _, canary = published
    move(log, 1, STABLE, CANARY)
    ticks = count()  # each look at the clock is a second later
    scales = Scales(str(base), PLAN, lambda: float(next(ticks)))
    scorer = begin(log, store, scales)
    assert scales.loading == 0
    judged(log, scorer, canary, CANARY, 4)
    assert scales.loading == 1


def test_a_stable_that_went_while_the_model_was_put_down_is_missed(
    log: Log, published: tuple[Path, Policy, Policy], scales: Scales, tmp_path: Path
) -> None:
    store, _, canary = published
    own = tmp_path / "own"
    shutil.copytree(store, own)
    move(log, 1, STABLE, CANARY)
    scorer = begin(log, own, scales)
    judged(log, scorer, canary, CANARY, 4)
    scorer.put_down()
    shutil.rmtree(own / STABLE)
    serve(log, answered(canary, CANARY, PROMPTS))
    assert scorer.turn() == 0


def test_what_is_no_number_is_no_score(log: Log, published: tuple[Path, Policy, Policy]) -> None:
    class Broken:
        def weigh(self, texts: Sequence[Text], _: Path | None) -> list[tuple[float, float]]:
            return [(float("nan"), -1.0), (-1.0, float("-inf")), *[(-1.0, -2.0)] * len(texts)][
                : len(texts)
            ]

        def usual(self) -> dict[str, Any]:
            return {}

        def put_down(self) -> None:
            """Nothing is held."""

    store, _, canary = published
    move(log, 1, STABLE, CANARY)
    scorer = LiveScorer(log, SplitReader(log, "tiny"), store, Broken(), most_tokens=64)
    assert scorer.turn() == 0
    serve(log, answered(canary, CANARY, PROMPTS)[:4])
    assert scorer.turn() == 2
    assert len(scores(log)) == 2


def test_who_begins_again_scores_what_comes_then_and_nothing_twice(
    log: Log, published: tuple[Path, Policy, Policy], scales: Scales
) -> None:
    store, _, canary = published
    move(log, 1, STABLE, CANARY)
    first, second = answered(canary, CANARY, PROMPTS)[:3], answered(canary, CANARY, PROMPTS)[3:]
    serve(log, first)
    killed = begin(log, store, scales)
    serve(log, second)
    assert killed.turn() == 2
    again = begin(log, store, scales)
    serve(log, first[:1])
    assert again.turn() == 1
    expected = [*(one.id for one in reversed(second)), first[0].id]
    assert [score.completion_id for score in scores(log)] == expected


def test_who_is_far_behind_leaves_the_oldest_out(
    log: Log, published: tuple[Path, Policy, Policy], scales: Scales
) -> None:
    store, _, canary = published
    move(log, 1, STABLE, CANARY)
    scorer = begin(log, store, scales)
    (one,) = answered(canary, CANARY, PROMPTS[:1])
    serve(log, [one.model_copy(update={"id": f"c{at}"}) for at in range(600)])
    assert scorer.turn() == 4
    newest = [score.completion_id for score in scores(log)]
    assert newest == ["c599", "c598", "c597", "c596"]


def test_what_nobody_can_read_stops_nothing(
    log: Log, published: tuple[Path, Policy, Policy], scales: Scales
) -> None:
    store, _, canary = published
    move(log, 1, STABLE, CANARY)
    scorer = begin(log, store, scales)
    log.append(COMPLETIONS.name, "c", b"{}")
    assert len(judged(log, scorer, canary, CANARY, 4)) == 4


@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_a_stable_that_is_not_whole_is_told_once_and_waited_for(
    log: Log,
    published: tuple[Path, Policy, Policy],
    scales: Scales,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    damage: str,
) -> None:
    store, _, canary = published
    damaged = tmp_path / "damaged"
    shutil.copytree(store, damaged)
    if damage == "gone":
        shutil.rmtree(damaged / STABLE)
    else:
        (damaged / STABLE / WEIGHTS).write_bytes(b"other weights")
    move(log, 1, STABLE, CANARY)
    scorer = begin(log, damaged, scales)
    for _ in range(3):
        serve(log, answered(canary, CANARY, PROMPTS))
        assert scorer.turn() == 0
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert STABLE in caplog.text
    shutil.rmtree(damaged / STABLE, ignore_errors=True)
    shutil.copytree(store / STABLE, damaged / STABLE)
    assert judged(log, scorer, canary, CANARY, 4)
