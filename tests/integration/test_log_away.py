"""The log goes away under load and comes back: nobody notices, and all of it is on the log.

For 10 seconds, or as many as THUMBWHEEL_TEST_AWAY_SECONDS says.
"""

import asyncio
import os
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from feedback.events import Completion, Correction, Outcome, Retraction, Thumb, decode
from feedback.log import open_log, read_all
from ops.demo.brokers import Broker, brokers
from tests.integration.alone import Gateway, gateway
from tests.integration.chaos import during
from tests.integration.ledger import Ledger
from tests.integration.load import Load
from tests.serving.gateway import until
from tests.serving.scripted import ScriptedEngine
from tests.serving.servers import served

pytestmark = pytest.mark.integration
AWAY_SECONDS = float(os.environ.get("THUMBWHEEL_TEST_AWAY_SECONDS", "10"))
CALM_SECONDS = 3.0
KINDS = (Thumb, Correction, Outcome, Retraction)  # that the load says
UNDER_WAY = 50  # records at the moment of the death: what some twenty clients have just said
WAITING = "thumbwheel_serving_spool_waiting_bytes"


@dataclass
class Story:
    broker: Broker
    gateway: Gateway
    ledger: Ledger
    waiting: list[float] = field(default_factory=list)  # bytes in the spool at each end of a phase

    def run(self) -> None:
        self._phase("the log is there", CALM_SECONDS)
        self.broker.kill()
        self._phase("the log is away", AWAY_SECONDS)
        self.ledger.phase = "the log comes back"
        self.broker.start()
        self.broker.wait()
        self._phase("the log is back", CALM_SECONDS)

    def _phase(self, name: str, seconds: float) -> None:
        self.ledger.phase = name
        time.sleep(seconds)
        self.waiting.append(self.gateway.metric(WAITING))


def test_while_the_log_is_away_nothing_fails_and_nothing_is_lost(tmp_path: Path) -> None:
    with (
        served(ScriptedEngine(word_seconds=0.02).app()) as engine,
        brokers(tmp_path / "kafka") as (broker,),
    ):
        log = f"kafka://{broker.address}?partitions=3&prefix=away."
        with gateway(tmp_path / "gateway", engine, log=log) as placed:
            load = Load(placed.url, seed=1)
            story = Story(broker, placed, load.ledger)
            asyncio.run(during(load, story.run))
            until(lambda: placed.metric(WAITING) == 0, 60)
            lost = placed.metric("thumbwheel_serving_completions_lost_total")
        said, twice = on_the_log(log, load.ledger)
    tell(story, twice)
    assert story.waiting[1] > 100_000, "the log was never away"
    assert load.ledger.counts["chats failed"] == load.ledger.counts["verdicts failed"] == lost == 0
    assert said == (set(load.ledger.answered), load.ledger.keys)
    # What a broker had taken, and could not say so before it died, comes again: one id, one key,
    # counts once. The load sends some verdicts twice itself.
    again = twice["verdicts"] - load.ledger.counts["verdicts sent twice"]
    assert twice["completions"] >= 0 and again >= 0
    assert twice["completions"] + again <= UNDER_WAY


def on_the_log(log: str, ledger: Ledger) -> tuple[tuple[set[str], set[str]], dict[str, int]]:
    """The ids of completions and the keys of verdicts; and how many records there are beyond."""
    with closing(open_log(log)) as opened:
        ids = [decode(r.value, (Completion,)).id for r in read_all(opened, "completions")]
        keys = [decode(r.value, KINDS).key for r in read_all(opened, "verdicts")]
    twice = {"completions": len(ids) - len(set(ids)), "verdicts": len(keys) - len(set(keys))}
    return (set(ids), set(keys)), twice


def tell(story: Story, twice: dict[str, int]) -> None:
    """For whoever runs it with -s."""
    print(f"\n{dict(story.ledger.counts)}, spool {story.waiting}, on the log twice {twice}")
    for phase, found in story.ledger.seconds.items():
        ordered = sorted(found)
        p50, p99 = (1000 * ordered[int(part * (len(ordered) - 1))] for part in (0.5, 0.99))
        print(
            f"{phase:20} {len(found):6} verdicts, 202 after p50 {p50:.1f} ms, p99 {p99:.1f} ms, "
            f"max {1000 * ordered[-1]:.1f} ms"
        )
