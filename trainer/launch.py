"""A round in as many processes as its plan says: all of them end well, or all are ended.

The first of them is watched: what it tells comes to the process that started it.
"""

import logging
import pickle
from collections.abc import Callable, Iterable
from functools import partial
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

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
from trainer.ranks import ALONE, Ranks, joined, portable
from trainer.run import Round, run_round
from trainer.settings import Place
from trainer.watched import UNWATCHED, Watch

T = TypeVar("T")
_GRACE_SECONDS = 5.0  # for the others to end, once one has failed
_LOOK_SECONDS = 0.2  # at what the first has told


def start(
    places: Places, parent: str, plan: Plan, watch: Watch = UNWATCHED, here: Place | None = None
) -> Round:
    """`here`: what torchrun made of this process, if it did."""
    work = partial(one_round, places, parent, plan)
    if here is not None:
        check(here, plan)
        with joined(here) as ranks:
            return work(watch, ranks)
    if plan.nodes > 1:
        raise RoundFailed(
            f"nodes is {plan.nodes}; expected torchrun to start `python -m trainer --once` on each"
        )
    if plan.processes == 1:
        return work(watch, ALONE)
    return in_processes(plan.processes, work, watch)


def check(here: Place, plan: Plan) -> None:
    if here.world != plan.processes * plan.nodes:
        raise RoundFailed(
            f"WORLD_SIZE is {here.world}; the plan says {plan.processes} processes on each of "
            f"{plan.nodes} nodes: expected {plan.processes * plan.nodes}"
        )


def one_round(places: Places, parent: str, plan: Plan, watch: Watch, ranks: Ranks) -> Round:
    torch.set_num_threads(plan.threads)
    parent = ranks.from_first(lambda: parent)  # each may have read another split
    tell, note = watch if ranks.first else UNWATCHED
    with within_share(plan):
        return run_round(places, parent, plan, tell=tell, note=note, ranks=ranks)


def in_processes(
    count: int,
    work: Callable[[Watch, Ranks], T],
    watch: Watch = UNWATCHED,
    *,
    method: str = "spawn",  # a fork of a process that has used a GPU could not use it
) -> T:
    """What the first of them made of it; what one fails of, if one fails."""
    with TemporaryDirectory(prefix="thumbwheel-round-") as folder:
        told: SimpleQueue[tuple[Any, ...]] = get_context(method).SimpleQueue()
        args = (Path(folder), count, work, told)
        # Daemons: where this process ends while they start, they end.
        started = start_processes(  # type: ignore[no-untyped-call]
            _one, args, count, join=False, daemon=True, start_method=method
        )
        try:
            while not started.join(_LOOK_SECONDS, _GRACE_SECONDS):
                _hand_on(told, watch)
        except (ProcessExitedException, ProcessRaisedException) as error:
            raise _why(Path(folder), error) from None
        finally:
            _end(started.processes)
            _hand_on(told, watch)
        made: T = pickle.loads((Path(folder) / "made").read_bytes())
        return made


def _end(processes: Iterable[BaseProcess]) -> None:
    """They hold a round's lock, and a GPU's memory."""
    for process in processes:
        process.kill()
        process.join()


def _through(told: "SimpleQueue[tuple[Any, ...]]") -> Watch:
    return Watch(lambda *step: told.put(step), lambda values: told.put((values,)))


def _hand_on(told: "SimpleQueue[tuple[Any, ...]]", watch: Watch) -> None:
    while not told.empty():
        match told.get():
            case (values,):
                watch.note(values)
            case step, done, of:
                watch.tell(step, done, of)


def _one(
    rank: int,
    folder: Path,
    count: int,
    work: Callable[[Watch, Ranks], object],
    told: "SimpleQueue[tuple[Any, ...]]",
) -> None:
    logging.basicConfig(
        level=logging.WARNING if rank else logging.INFO,
        format="%(levelname)s %(name)s: %(message)s",
    )
    try:
        with joined(Place(rank, count, rank, count, f"file://{folder}/meet")) as ranks:
            made = work(_through(told), ranks)
    except Exception as error:
        (folder / f"failed-{rank}").write_bytes(pickle.dumps(portable(error)))
        raise
    if rank == 0:
        (folder / "made").write_bytes(pickle.dumps(made))


def _why(folder: Path, error: ProcessExitedException | ProcessRaisedException) -> Exception:
    """Of the process that failed first: the others fail because it does not answer."""
    told = sorted(folder.glob("failed-*"), key=lambda file: file.stat().st_mtime_ns)
    if isinstance(error, ProcessRaisedException) and told:
        failed: Exception = pickle.loads(told[0].read_bytes())
        failed.add_note(str(error))
        return failed
    return RoundFailed(f"of the round's processes, {error}")
