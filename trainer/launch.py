"""A round in as many processes as its plan says: all of them end well, or all are ended."""

import logging
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import torch
from torch.multiprocessing.spawn import (
    ProcessExitedException,
    ProcessRaisedException,
    start_processes,
)

from trainer.course import Places
from trainer.device import within_share
from trainer.endings import RoundFailed
from trainer.plan import Plan
from trainer.progress import progress
from trainer.ranks import ALONE, Ranks, joined
from trainer.run import Round, run_round
from trainer.settings import Place

T = TypeVar("T")
_GRACE_SECONDS = 5.0  # for the others to end, once one has failed


def start(places: Places, parent: str, plan: Plan, here: Place | None = None) -> Round:
    """`here`: what torchrun made of this process, if it did."""
    work = partial(one_round, places, parent, plan)
    if here is not None:
        check(here, plan)
        with joined(here) as ranks:
            return work(ranks)
    if plan.nodes > 1:
        raise RoundFailed(
            f"nodes is {plan.nodes}; expected torchrun to start `python -m trainer --once` on each"
        )
    return work(ALONE) if plan.processes == 1 else in_processes(plan.processes, work)


def check(here: Place, plan: Plan) -> None:
    if here.world != plan.processes * plan.nodes:
        raise RoundFailed(
            f"WORLD_SIZE is {here.world}; the plan says {plan.processes} processes on each of "
            f"{plan.nodes} nodes: expected {plan.processes * plan.nodes}"
        )


def one_round(places: Places, parent: str, plan: Plan, ranks: Ranks) -> Round:
    torch.set_num_threads(plan.threads)
    parent = ranks.from_first(lambda: parent)  # each may have read another split
    with within_share(plan):
        if not ranks.first:
            return run_round(places, parent, plan, tell=lambda *_: None, ranks=ranks)
        with progress() as tell:
            return run_round(places, parent, plan, tell=tell, ranks=ranks)


def in_processes(count: int, work: Callable[[Ranks], T]) -> T:
    """What the first of them made of it; what one fails of, if one fails."""
    with TemporaryDirectory(prefix="thumbwheel-round-") as folder:
        args = (Path(folder), count, work)
        # Daemons: where this process is told to end, they end.
        started = start_processes(_one, args, count, join=False, daemon=True)  # type: ignore[no-untyped-call]
        try:
            while not started.join(grace_period=_GRACE_SECONDS):
                pass
        except (ProcessExitedException, ProcessRaisedException) as error:
            raise _why(Path(folder), error) from None
        made: T = pickle.loads((Path(folder) / "made").read_bytes())
        return made


def _one(rank: int, folder: Path, count: int, work: Callable[[Ranks], object]) -> None:
    logging.basicConfig(
        level=logging.WARNING if rank else logging.INFO,
        format="%(levelname)s %(name)s: %(message)s",
    )
    try:
        with joined(Place(rank, count, rank, count, f"file://{folder}/meet")) as ranks:
            made = work(ranks)
    except Exception as error:
        (folder / f"failed-{rank}").write_bytes(pickle.dumps(error))
        raise
    if rank == 0:
        (folder / "made").write_bytes(pickle.dumps(made))


def _why(folder: Path, error: ProcessExitedException | ProcessRaisedException) -> Exception:
    """Of the process that failed first: the others fail because it does not answer."""
    told = folder / f"failed-{error.error_index}"
    if isinstance(error, ProcessRaisedException) and told.exists():
        failed: Exception = pickle.loads(told.read_bytes())
        failed.add_note(str(error))
        return failed
    return RoundFailed(f"of the round's processes, {error}")
