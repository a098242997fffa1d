"""Random SIGKILLs for the parts of a loop, while clients chat and judge; then what came of it."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TypeVar

from feedback import examples
from feedback.events import Completion, decode
from feedback.examples import Example
from feedback.log import Log, open_log, read_all
from ops.demo.brokers import brokers
from tests.integration.ledger import Ledger
from tests.integration.load import Load
from tests.integration.processes import Pair, Victim, running, tail
from tests.serving.scripted import ScriptedEngine
from tests.serving.servers import served

T = TypeVar("T")
SETTLE_SECONDS = 120.0
QUIET_SECONDS = 3.0
DRAIN_SECONDS = 300.0
WORD_SECONDS = 0.02  # so that some judge, and some gateways die, in the middle of an answer


@dataclass(frozen=True)
class Report:
    """What was done, and every complaint about what came of it: none is how it has to be."""

    kills: Counter[str]
    ledger: Ledger
    standing: list[Example]
    complaints: list[str]

    @property
    def judged_early(self) -> int:
        """Examples whose verdict came before its completion was written down."""
        return sum(row.judged_at < row.completed_at for row in self.standing)


@dataclass(frozen=True)
class Killer:
    victims: dict[str, Victim]
    kills: int
    random: Random

    def run(self) -> Counter[str]:
        """All are up again when it returns. Some die while they start, some all at once."""
        killed = Counter[str]()
        while killed.total() < self.kills:
            names = sorted(self.victims)
            if self.random.random() < 0.9:
                names = [self.random.choice(names)]
            self._strike(names)
            killed.update(names)
            if self.random.random() < 0.75:
                self._wait_for_all()
            time.sleep(self.random.uniform(0, 0.6))
        self._wait_for_all()
        return killed

    def _strike(self, names: list[str]) -> None:
        for name in names:
            victim = self.victims[name]
            assert victim.process is not None
            assert victim.process.poll() is None, f"{name} ended by itself: {tail(victim)}"
            victim.kill()
        time.sleep(self.random.uniform(0, 0.5))
        for name in names:
            self.victims[name].start()

    def _wait_for_all(self) -> None:
        for victim in self.victims.values():
            victim.wait()


def chaos_on_sqlite(folder: Path, *, kills: int, seed: int) -> Report:
    return _chaos(folder, f"sqlite:///{folder}/log.db", {}, kills, seed)


def chaos_on_kafka(folder: Path, *, kills: int, seed: int) -> Report:
    with brokers(folder / "kafka") as (broker,):
        url = f"kafka://{broker.address}?partitions=3&prefix=chaos."
        return _chaos(folder, url, {"broker": broker}, kills, seed)


def _chaos(folder: Path, url: str, more: dict[str, Victim], kills: int, seed: int) -> Report:
    with ExitStack() as until_the_end:
        enter = until_the_end.enter_context
        engine = enter(served(ScriptedEngine(word_seconds=WORD_SECONDS).app()))
        pair = enter(running(folder, url, engine))
        victims = {"gateway": pair.gateway, "worker": pair.worker, **more}
        load, killer = Load(pair.url, seed=seed), Killer(victims, kills, Random(seed))
        killed = asyncio.run(during(load, killer.run))
        return Report(killed, load.ledger, *settled(pair, load.ledger))


async def during(load: Load, work: Callable[[], T]) -> T:
    """What comes of `work`, done under load; returns when all that was said is accepted."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        under_load = group.create_task(load.run(stop))
        done = await asyncio.to_thread(work)
        stop.set()
        await asyncio.wait_for(under_load, DRAIN_SECONDS)
    return done


def settled(pair: Pair, ledger: Ledger) -> tuple[list[Example], list[str]]:
    """The examples that stand once the worker is through, and what is wrong with them."""
    ends = time.monotonic() + SETTLE_SECONDS
    while True:
        _until_quiet(pair, ends)
        written = [row for batch in examples.batches(pair.examples) for row in examples.rows(batch)]
        standing = examples.read(pair.examples).examples
        with closing(open_log(pair.log)) as log:
            complaints = [*ledger.complaints(written, standing), *_of_the_log(log, ledger)]
        if not complaints or time.monotonic() > ends:
            return standing, complaints


def _until_quiet(pair: Pair, ends: float) -> None:
    """Nothing waits in the spool, and the folder of examples has been the same for a while."""
    before, since = set[Path](), time.monotonic()
    while time.monotonic() < ends:
        found = set(pair.examples.glob("*")) if pair.examples.exists() else set()
        waiting = sum(path.stat().st_size for path in pair.spool.glob("*"))
        if waiting or found != before:
            before, since = found, time.monotonic()
        if time.monotonic() - since > QUIET_SECONDS:
            return
        time.sleep(0.2)


def _of_the_log(log: Log, ledger: Ledger) -> list[str]:
    dead = [f"dead: {record.value[:300]!r}" for record in read_all(log, "deadletter")]
    known = {decode(r.value, (Completion,)).id for r in read_all(log, "completions")}
    return dead + [f"forgotten: {name}" for name in ledger.answered.keys() - known]
