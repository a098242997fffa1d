"""A round that died between two epochs ends as if it never had."""

from pathlib import Path
from shutil import copytree

import pytest

from feedback.events import BASE
from tests.trainer.tiny import PLAN, example, quiet, rated_by_base, settle
from trainer import run
from trainer.adapters import load, published, read_lineage, verify
from trainer.endings import RoundFailed
from trainer.fit import Tell
from trainer.manifest import Manifest
from trainer.policy import Policy
from trainer.run import Places, run_round

pytestmark = pytest.mark.integration  # a dozen seconds of training

LONG = PLAN.model_copy(update={"epochs": 4, "kl_weight": 0.01})


class Killed(BaseException):
    """Nobody catches it, so what it leaves on disk is what kill -9 leaves."""


def killed_at(step: str, done: int = 0) -> Tell:
    def tell(*where: object) -> None:
        if where[:2] == (step, done):
            raise Killed

    return tell


@pytest.fixture(scope="module")
def calm(base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Places, Manifest]:
    """A round that nothing disturbed. Not to be changed."""
    home = tmp_path_factory.mktemp("calm")
    places = Places(str(base), "tiny", home / "examples", home / "adapters", home / "state")
    rated_by_base(base, places.examples)
    made = run_round(places, BASE, LONG, tell=quiet).manifest
    assert made is not None
    return places, made


@pytest.fixture
def dying(calm: tuple[Places, Manifest], places: Places) -> Places:
    copytree(calm[0].examples, places.examples)
    return places


def die(places: Places, step: str, done: int = 0) -> None:
    with pytest.raises(Killed):
        run_round(places, BASE, LONG, tell=killed_at(step, done))


@pytest.mark.parametrize(
    "deaths",
    [
        [("epoch 1 of 4", 5)],
        [("epoch 3 of 4", 0)],
        [("epoch 2 of 4", 0), ("epoch 3 of 4", 4), ("epoch 4 of 4", 0)],
        [("gates", 0)],
    ],
)
def test_its_adapter_has_the_bytes_of_an_undisturbed_one(
    calm: tuple[Places, Manifest], dying: Places, deaths: list[tuple[str, int]]
) -> None:
    for step, done in deaths:
        die(dying, step, done)
        assert not dying.adapters.exists()
    run_round(dying, BASE, LONG, tell=quiet)
    made = load(dying.adapters, "tiny-v1")
    assert made.files == calm[1].files
    assert made.curves == calm[1].curves
    assert made.gates == calm[1].gates
    assert [path.name for path in dying.state.iterdir()] == ["round.lock"]


def test_it_does_not_learn_the_same_epochs_again(dying: Places) -> None:
    die(dying, "epoch 3 of 4")
    told = set[str]()
    run_round(dying, BASE, LONG, tell=lambda step, done, of: told.add(step))
    assert {step for step in told if step.startswith("epoch")} == {"epoch 3 of 4", "epoch 4 of 4"}


def test_what_settled_meanwhile_is_for_the_next_round(
    calm: tuple[Places, Manifest], dying: Places
) -> None:
    die(dying, "epoch 2 of 4")
    settle(dying.examples, [example(n) for n in range(200, 240)], start=96, end=240)
    run_round(dying, BASE, LONG, tell=quiet)
    made = load(dying.adapters, "tiny-v1")
    assert made.files == calm[1].files
    assert made.watermark == {"completions/0": 96, "verdicts/0": 96}


def test_with_other_examples_it_begins_anew_and_says_so(
    dying: Places, caplog: pytest.LogCaptureFixture
) -> None:
    die(dying, "epoch 3 of 4")
    for path in dying.examples.iterdir():
        path.unlink()
    others = [example(n, up=n % 3 == 0, prompt_ids=[5, 6, 7 + n]) for n in range(96)]
    settle(dying.examples, others, start=0, end=96)
    told = set[str]()
    run_round(dying, BASE, LONG, tell=lambda step, done, of: told.add(step))
    assert "epoch 1 of 4" in told
    why = "died after epoch 2 had another parent, plan or data, or ended; begins anew"
    assert why in caplog.text


def test_with_another_plan_it_begins_anew(dying: Places) -> None:
    die(dying, "epoch 3 of 4")
    run_round(dying, BASE, LONG.model_copy(update={"seed": 1}), tell=quiet)
    assert len(load(dying.adapters, "tiny-v1").curves["kl_parent"]) == 4


@pytest.mark.parametrize(
    "step", ["claim", "save", "write_lineage", "_manifest", "publish, before", "publish, after"]
)
def test_killed_between_any_two_steps_of_publishing_it_is_whole_or_unseen(
    calm: tuple[Places, Manifest], dying: Places, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, _, when = step.partition(", ")
    owner: object = Policy if name == "save" else run
    real = getattr(owner, name)

    def dies(*given: object) -> None:
        if when != "before":
            real(*given)
        raise Killed

    monkeypatch.setattr(owner, name, dies)
    with pytest.raises(Killed):
        run_round(dying, BASE, LONG, tell=quiet)
    monkeypatch.undo()
    seen = [made.name for made in published(dying.adapters)]
    assert seen == (["tiny-v1"] if when == "after" else [])
    if not seen:
        told = set[str]()
        made = run_round(dying, BASE, LONG, tell=lambda step, done, of: told.add(step)).manifest
        assert made and [one.name for one in published(dying.adapters)] == [made.name]
        assert not [step for step in told if step.startswith("epoch")]  # it had learned all
    whole = verify(dying.adapters, published(dying.adapters)[0].name)
    assert whole.files == calm[1].files


def test_what_was_published_is_not_published_again(dying: Places) -> None:
    """It died after its manifest was written, and before its state was taken away."""
    die(dying, "gates")
    kept = (dying.state / "round.pt").read_bytes()
    run_round(dying, BASE, LONG, tell=quiet)
    (dying.state / "round.pt").write_bytes(kept)
    settle(dying.examples, [example(n) for n in range(200, 240)], start=96, end=240)
    run_round(dying, BASE, LONG, tell=quiet)
    assert load(dying.adapters, "tiny-v2").watermark["verdicts/0"] == 240
    assert len(read_lineage(dying.adapters, "tiny-v2")) == 136


def test_an_earlier_round_on_the_same_data_does_not_end_it(dying: Places) -> None:
    run_round(dying, BASE, LONG, tell=quiet)
    die(dying, "epoch 3 of 4")
    told = set[str]()
    run_round(dying, BASE, LONG, tell=lambda step, done, of: told.add(step))
    assert "epoch 2 of 4" not in told
    assert load(dying.adapters, "tiny-v2").files == load(dying.adapters, "tiny-v1").files


def test_a_round_that_failed_leaves_no_state(
    dying: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    die(dying, "gates")
    assert (dying.state / "round.pt").exists()
    monkeypatch.setattr(Policy, "is_finite", lambda policy: False)
    with pytest.raises(RoundFailed):
        run_round(dying, BASE, LONG, tell=quiet)
    assert not (dying.state / "round.pt").exists()


def test_a_round_that_an_error_ended_leaves_no_state_either(
    dying: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    die(dying, "gates")

    def fails(policy: Policy) -> bool:
        raise MemoryError("no room")

    monkeypatch.setattr(Policy, "is_finite", fails)
    with pytest.raises(MemoryError):
        run_round(dying, BASE, LONG, tell=quiet)
    assert not (dying.state / "round.pt").exists()
