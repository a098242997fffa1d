"""Three brokers, of which one after the other is killed or cut off under load."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kafka import KafkaAdminClient

from feedback.examples import Example
from feedback.log import TOPICS
from ops.demo.brokers import Broker, brokers
from tests.integration.chaos import during, settled
from tests.integration.ledger import Ledger
from tests.integration.load import Load
from tests.integration.processes import running
from tests.serving.scripted import ScriptedEngine
from tests.serving.servers import served

PREFIX = "election."
CUT_OFF_SECONDS = 8.0
CLUSTER_SECONDS = 120.0


@dataclass(frozen=True)
class Report:
    ledger: Ledger
    standing: list[Example]
    complaints: list[str]

    def lines(self) -> Iterator[str]:
        """How long a verdict took to its 202, phase by phase."""
        for phase, found in self.ledger.seconds.items():
            ordered = sorted(found)
            p50, p99 = (ordered[int(part * (len(ordered) - 1))] for part in (0.5, 0.99))
            yield (
                f"{phase:30} {len(found):6} verdicts, 202 after p50 {1000 * p50:5.1f} ms, "
                f"p99 {1000 * p99:6.1f} ms, max {1000 * ordered[-1]:6.1f} ms"
            )


def election(
    folder: Path, *, seed: int, calm_seconds: float, away_seconds: float, pause_seconds: float
) -> Report:
    with ExitStack() as until_the_end:
        enter = until_the_end.enter_context
        cluster = enter(brokers(folder / "kafka", 3))
        servers = [broker.address for broker in cluster]
        url = f"kafka://{','.join(servers)}?replication=3&partitions=3&prefix={PREFIX}"
        pair = enter(running(folder, url, enter(served(ScriptedEngine().app()))))
        load = Load(pair.url, seed=seed, pause_seconds=pause_seconds)
        story = _Story(cluster, servers, load.ledger, calm_seconds, away_seconds)
        asyncio.run(during(load, story.run))
        return Report(load.ledger, *settled(pair, load.ledger))


@dataclass(frozen=True)
class _Story:
    cluster: list[Broker]
    servers: list[str]
    ledger: Ledger
    calm_seconds: float  # where all are up
    away_seconds: float  # where one is not

    def run(self) -> None:
        self._phase("all have just started", lambda: None)
        self._phase("all are up", lambda: None)
        for phase in ("a leader is killed", "another one is killed"):
            victim = self._leader()
            self._phase(phase, victim.kill, self.away_seconds)
            self._phase("it comes back", partial(self._back, victim))
        third = self._leader()
        try:
            self._phase("a leader is cut off", partial(self._cut_off, third), self.away_seconds)
        finally:
            third.signal(signal.SIGCONT)
        self._phase("it is let in again", self._until_all_replicate)

    def _phase(self, name: str, work: Callable[[], object], seconds: float | None = None) -> None:
        self.ledger.phase = name
        work()
        time.sleep(self.calm_seconds if seconds is None else seconds)

    def _cut_off(self, broker: Broker) -> None:
        broker.signal(signal.SIGSTOP)
        time.sleep(CUT_OFF_SECONDS)

    def _back(self, broker: Broker) -> None:
        broker.start()
        broker.wait()
        self._until_all_replicate()

    def _leader(self) -> Broker:
        """Of the first partition of the verdicts."""
        leader = self._partitions("verdicts")[0]["leader_id"]
        return next(broker for broker in self.cluster if broker.number == leader)

    def _until_all_replicate(self) -> None:
        ends = time.monotonic() + CLUSTER_SECONDS
        while any(len(p["isr_nodes"]) < len(self.cluster) for p in self._partitions(*TOPICS)):
            assert time.monotonic() < ends, self._partitions(*TOPICS)
            time.sleep(0.5)

    def _partitions(self, *topics: str) -> list[dict[str, Any]]:
        with closing(KafkaAdminClient(bootstrap_servers=self.servers)) as admin:
            told = admin.describe_topics([PREFIX + name for name in topics])
        found = [partition for topic in told for partition in topic["partitions"]]
        return sorted(found, key=lambda partition: partition["partition_index"])
