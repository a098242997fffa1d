"""What breaks is pending, fires, is told by webhook, and is resolved once it is mended.

A real Prometheus and Alertmanager over the real processes; no number that they scrape is made up.
Alerts that roll back are told to the control API, too: it mends what broke.
"""

import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from feedback.events import BASE, Score, encode
from ops import history
from ops.dashboards import queries
from serving.split import Split
from tests.integration.alerting import Stack, published, stack
from tests.prometheus.watching import shortened, until

pytestmark = pytest.mark.integration
CALM_SECONDS = 8.0
USUAL_SECONDS = 70.0  # of ratings, before there is a usual number of them
SPOOL = "thumbwheel_serving_spool_waiting_bytes"


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with stack(tmp_path_factory.mktemp("loop")) as loop:
        yield loop


def in_force(loop: Stack) -> Split:
    return history.splits(loop.place.log)[-1]


@contextmanager
def on_trial(loop: Stack, name: str) -> Iterator[None]:
    """Half of the users get it, and automation leaves it alone."""
    loop.place.publish(name)
    until(lambda: in_force(loop).canary == name, f"{name} is not on trial")
    loop.control("pause")
    try:
        yield
    finally:
        if in_force(loop).canary:
            loop.control("rollback")
        loop.control("resume")


def test_durations_are_shortened_and_nothing_else() -> None:
    assert shortened("rate(a[5m]) > 5 offset 1h") == "rate(a[5s]) > 5 offset 1m"
    assert shortened("for: 1d\nexpr: a:rate5m > 24 * 3600") == "for: 1h\nexpr: a:rate5m > 24 * 3600"


def test_nothing_fires_while_all_is_well(loop: Stack) -> None:
    time.sleep(CALM_SECONDS)
    assert loop.told.heard == []
    assert not loop.query('count_over_time(ALERTS{alertstate="firing"}[1m])')


def test_a_canary_that_users_like_less_is_rolled_back(loop: Stack) -> None:
    with on_trial(loop, "model-v1"):
        loop.users.dislike = {"model-v1"}
        loop.until_firing("CanaryWorse")
        until(lambda: in_force(loop).canary is None, "it was not rolled back")
        assert (in_force(loop).stable, in_force(loop).by) == (BASE, "alertmanager")
        assert in_force(loop).pinned, "an alert takes back a canary, and no pause"
        loop.until_resolved("CanaryWorse")


def test_a_canary_that_no_engine_loads_is_rolled_back(loop: Stack) -> None:
    with on_trial(loop, "model-v2"):
        loop.engine.refuses = {"model-v2": 404}
        loop.until_firing("AdapterNotLoaded")
        until(lambda: in_force(loop).canary is None, "it was not rolled back")
        loop.engine.refuses = {}
        loop.until_resolved("AdapterNotLoaded")


def test_a_canary_that_is_too_far_from_stable_is_rolled_back(loop: Stack) -> None:
    with on_trial(loop, "model-v3"):
        scores = [
            ("scores", adapter, _score(f"{adapter} {number}", adapter))
            for number in range(200)
            for adapter in ("model-v3", BASE)
        ]
        loop.place.log.append_all(scores)
        loop.until_firing("KLOverBudget")
        until(lambda: in_force(loop).canary is None, "it was not rolled back")
        loop.until_resolved("KLOverBudget")


def _score(name: str, adapter: str) -> bytes:
    """Of an answer that is 9 nats likelier than stable finds it."""
    score = Score(
        at=datetime.now(UTC),
        completion_id=name,
        adapter=adapter,
        stable=BASE,
        tokens=3,
        served=-1.0,
        under_stable=-10.0,
        under_base=-10.0,
        faithful=True,
    )
    return encode(score)


def test_users_who_are_given_another_share_than_the_split_says_are_told_of(loop: Stack) -> None:
    with on_trial(loop, "model-v4"):
        loop.place.serve("model-v4", in_force(loop).revision, silent=400)
        loop.until_firing("SampleRatioMismatch")
    # It is withdrawn, and its trial told of until another begins.
    until(lambda: in_force(loop).canary is None, "it was not withdrawn")
    with on_trial(loop, "model-v5"):
        loop.until_resolved("SampleRatioMismatch")


def test_failing_answers_are_told_of(loop: Stack) -> None:
    loop.engine.refuses = {"model": 500}
    loop.until_firing("ErrorBurst")
    loop.engine.refuses = {}
    loop.until_resolved("ErrorBurst")


def test_a_record_that_nobody_can_read_is_told_of(loop: Stack) -> None:
    loop.place.log.append("verdicts", "somebody", b"not JSON")
    loop.until_firing("DeadLetters")
    loop.until_resolved("DeadLetters")


def test_lessons_that_wait_while_no_round_ends_are_told_of(loop: Stack) -> None:
    loop.record.waits(500)
    loop.until_firing("TrainerStale")
    loop.record.ended(published(datetime.now(UTC)))
    loop.until_resolved("TrainerStale")


def test_a_log_that_is_away_and_a_spool_that_fills_are_told_of(loop: Stack) -> None:
    with _held(loop.place.home / "log.db"):
        loop.users.prompt = "x" * 5_000_000
        until(lambda: bool(loop.query(f"{SPOOL} > 1.1e8")), "the spool does not fill")
        loop.users.prompt = "Say hello"
        loop.until_firing("LogAway", "SpoolFilling")
    loop.until_resolved("LogAway", "SpoolFilling")
    assert not loop.query("thumbwheel_serving_completions_lost_total > 0")


def test_a_burst_of_thumbs_is_told_of(loop: Stack) -> None:
    ago = f'sum(thumbwheel_serving_verdicts_total{{kind="thumb"}} offset {int(USUAL_SECONDS)}s)'
    until(lambda: bool(loop.query(ago)), "nobody rates", seconds=2 * USUAL_SECONDS)
    with httpx.Client(base_url=loop.gateway, trust_env=False) as http:
        name = loop.users.ask(http).headers["x-thumbwheel-completion"]
        with ThreadPoolExecutor(8) as many:
            list(many.map(lambda _: loop.users.rate(http, name), range(1000)))
    loop.until_firing("VerdictBurst")
    loop.until_resolved("VerdictBurst")


# What does not come to pass here, so that their panels draw the 0 that they fall back on.
_NEVER = ("quarantined", "late", "repeated", "missed_records")


def test_every_panel_has_drawn_what_it_asks_for(loop: Stack) -> None:
    """In the trials above: without a canary there is nothing to tell of one."""
    assert [query for _, query in queries() if not _drew(loop, query)] == []


def _drew(loop: Stack, query: str) -> bool:
    """A line, at some time since the start."""
    if not any(f"thumbwheel_feedback_{name}_total" in query for name in _NEVER):
        query = query.removesuffix(" or vector(0)")
    return bool(loop.query(f"count_over_time(({query})[15m:1s])"))


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Whoever else would write to it waits, and gives up."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        yield
        holder.execute("ROLLBACK")
