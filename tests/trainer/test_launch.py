"""Rounds in several real processes on this machine's CPU, told by gloo.

A process that is started anew loads torch, for ten seconds: that is done once. All others are forks
of one process that has it.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from multiprocessing import active_children, parent_process, set_forkserver_preload
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from feedback.events import BASE
from tests.trainer.tiny import PLAN, quiet, rated_by_base
from trainer.adapters import read_lineage, verify
from trainer.course import Places
from trainer.endings import RoundFailed
from trainer.launch import in_processes, one_round, start
from trainer.lock import RoundRunning, only_one
from trainer.lora_files import WEIGHTS
from trainer.plan import Plan
from trainer.ranks import Ranks
from trainer.run import Round, run_round
from trainer.settings import Place
from trainer.watched import UNWATCHED, Tell, Watch, unheard

pytestmark = pytest.mark.integration

WAYS = {
    "two processes": {"processes": 2},
    "two processes, each with half of each layer": {"processes": 2, "shard": True},
    "three processes, rows of two texts, checkpointed": {
        "processes": 3,
        "shard": True,
        "packed_tokens": 30,
        "checkpointing": True,
    },
}


def plan(**changes: object) -> Plan:
    return Plan.model_validate({**PLAN.model_dump(), **changes})


@pytest.fixture(scope="module")
def alone(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Places:
    """A round in one process. Not to be changed."""
    home = tmp_path_factory.mktemp("alone")
    places = Places(str(base), "tiny", home / "examples", home / "adapters", home / "state")
    rated_by_base(base, places.examples)
    assert run_round(places, BASE, PLAN, tell=quiet).manifest
    return places


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    set_forkserver_preload(["trainer.launch", "tests.trainer.tiny"])


forked = partial(in_processes, method="forkserver")


def beside(places: Places, home: Path) -> Places:
    return replace(places, adapters=home / "adapters", state=home / "state")


def anew(places: Places, plan: Plan, watch: Watch) -> Round:
    return start(places, BASE, plan, watch)


def as_forks(places: Places, plan: Plan, watch: Watch) -> Round:
    return forked(plan.processes, partial(one_round, places, BASE, plan), watch)


@pytest.mark.parametrize(
    ("changes", "started"),
    list(zip(WAYS.values(), (anew, as_forks, as_forks), strict=True)),
    ids=WAYS,
)
def test_several_processes_learn_what_one_does(
    alone: Places,
    changes: dict[str, object],
    started: Callable[[Places, Plan, Watch], Round],
    tmp_path: Path,
) -> None:
    places = beside(alone, tmp_path)
    told = list[tuple[str, int, int]]()
    noted = list[Mapping[str, float]]()
    watch = Watch(lambda *step: told.append(step), noted.append)
    ended = started(places, plan(**changes), watch)
    one, many = verify(alone.adapters, "tiny-v1"), verify(places.adapters, "tiny-v1")
    assert ended.manifest == many
    assert told[-1] == ("gates", 1, 1)
    assert tuple(values["loss"] for values in noted if "loss" in values) == many.curves["loss"]
    assert many.curves["loss"] == pytest.approx(one.curves["loss"], rel=1e-4)
    assert many.watermark == one.watermark
    assert many.scores["held_out_gap"] == pytest.approx(one.scores["held_out_gap"], rel=1e-3)
    weights, others = (
        load_file(store / "tiny-v1" / WEIGHTS) for store in (alone.adapters, places.adapters)
    )
    assert weights.keys() == others.keys()
    for name, tensor in weights.items():
        assert torch.allclose(tensor, others[name], atol=1e-3), name
    assert read_lineage(places.adapters, "tiny-v1") == read_lineage(alone.adapters, "tiny-v1")


def test_several_processes_keep_the_same_part_of_what_went_too_far(
    alone: Places, tmp_path: Path
) -> None:
    far = verify(alone.adapters, "tiny-v1").curves["kl_parent"][0]
    tight = plan(processes=2, shard=True, epochs=1, kl_budget_parent=far / 2)
    ended = as_forks(beside(alone, tmp_path), tight, Watch(quiet))
    assert ended.manifest is not None, ended.why
    assert ended.manifest.gates[0].reason.startswith("0.")
    assert ended.manifest.kl["parent"].value < far / 2


def test_several_processes_draw_score_and_learn_as_one(alone: Places, tmp_path: Path) -> None:
    """Online they draw other answers than one process would, but all of them the same."""
    places = beside(alone, tmp_path)
    fields = PLAN.model_dump(exclude={"beta", "sft_weight", "kl_weight"})
    online = {"method": "ppo", "online_prompts": 8, "processes": 2, "shard": True}
    ended = as_forks(places, Plan.model_validate(fields | online), Watch(quiet))
    assert ended.manifest is not None, ended.why
    curves = ended.manifest.curves
    # Each epoch's first step is taken where it drew: no ratio is beyond the clip yet, with anybody.
    steps = len(curves["ppo"]) // PLAN.epochs
    assert [curves["beyond_clip"][at * steps] for at in range(PLAN.epochs)] == [0.0, 0.0]
    assert curves["rollout_kl"][0] == pytest.approx(0.0, abs=1e-5)
    assert any(curves["value"])


def dies(_: Watch, ranks: Ranks, places: Places, how: str) -> Round:
    """The second process stops in the middle of an epoch."""
    torch.set_num_threads(1)
    steps = 0

    def tell(step: str, done: int, of: int) -> None:
        nonlocal steps
        steps += step.startswith("epoch")
        if steps == 4 and ranks.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL) if how == "killed" else fail()

    return run_round(places, BASE, plan(processes=2), tell=tell, ranks=ranks)


def fail() -> None:
    raise RoundFailed("out of GPU memory")


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("killed", "of the round's processes, process 1 terminated with signal SIGKILL"),
        ("out of memory", "out of GPU memory"),
    ],
)
def test_where_one_process_ends_all_end_with_its_reason_and_nothing_is_published(
    alone: Places, how: str, told: str, tmp_path: Path
) -> None:
    places = beside(alone, tmp_path)
    began = time.monotonic()
    with pytest.raises(RoundFailed, match=told):
        forked(2, partial(dies, places=places, how=how))
    assert time.monotonic() - began < 300
    assert not places.adapters.exists()
    with only_one(places.state):
        """Its lock is free."""


class Unsendable(Exception):
    def __init__(self, size: int, free: int) -> None:
        super().__init__(f"{size} MB; {free} are free")


def fails_first_and_ends_last(_: Watch, ranks: Ranks) -> None:
    ranks.every("here")
    if ranks.first:
        time.sleep(2)
        raise RuntimeError("the other does not answer")
    threading.Timer(6, nothing).start()  # this process waits for it
    raise Unsendable(8, 5)


def test_the_reason_is_of_the_process_that_failed_first_not_of_the_one_that_ended_first() -> None:
    with pytest.raises(RuntimeError, match="Unsendable: 8 MB; 5 are free"):
        forked(2, fails_first_and_ends_last)


def waits(watch: Watch, ranks: Ranks, state: Path, then: Callable[[], None]) -> None:
    """A round that would last."""
    if not ranks.first:
        time.sleep(600)
    with only_one(state):
        watch.tell("epoch 1 of 2", 1, 4)
        then()
        time.sleep(600)


def nothing() -> None:
    pass


def end_the_parent() -> None:
    parent = parent_process()
    assert parent is not None and parent.pid is not None
    os.kill(parent.pid, signal.SIGTERM)


def full(*_: object) -> None:
    raise OSError("no space left on device")


@pytest.fixture
def ends_when_told() -> Iterator[None]:
    """As `python -m trainer` does."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to end"))
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("ends_when_told")
@pytest.mark.parametrize(
    ("tell", "then", "why"),
    [
        (full, nothing, pytest.raises(OSError, match="no space left on device")),
        (quiet, end_the_parent, pytest.raises(SystemExit, match="told to end")),
    ],
    ids=["its watch fails", "it is told to end"],
)
def test_where_who_started_them_stops_no_process_lives_on(
    tell: Tell, then: Callable[[], None], why: AbstractContextManager[object], tmp_path: Path
) -> None:
    with why:
        forked(2, partial(waits, state=tmp_path, then=then), Watch(tell, unheard))
    assert active_children() == []
    with only_one(tmp_path):
        """Its lock is free."""


def test_what_the_first_fails_of_all_fail_of(alone: Places, tmp_path: Path) -> None:
    places = beside(alone, tmp_path)
    with only_one(places.state), pytest.raises(RoundRunning, match="another trainer holds"):
        as_forks(places, plan(processes=2), UNWATCHED)


def test_torchrun_and_the_plan_must_agree_on_how_many_there_are(places: Places) -> None:
    here = Place(rank=0, world=4, local_rank=0, local_world=2)
    with pytest.raises(RoundFailed, match=r"WORLD_SIZE is 4; .* 3 processes .* expected 3"):
        start(places, BASE, plan(processes=3), here=here)


def test_several_nodes_are_torchruns_to_start(places: Places) -> None:
    with pytest.raises(RoundFailed, match="nodes is 2; expected torchrun to start"):
        start(places, BASE, plan(nodes=2))
