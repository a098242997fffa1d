"""What the gateway adds to its engine, beside LiteLLM's proxy: `python -m tests.bench.gateway`.

`--quick`: one round, under a minute. `--alone`: without LiteLLM. All in turn, round after round,
each proxy on one core; engine and load are on another. Latencies count from when a request is due.
"""

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from feedback.events import Completion, decode
from feedback.log import open_log, read_all
from tests.bench.gateway.measures import Plan, measure, warm
from tests.bench.gateway.peers import Peer, Place, ended
from tests.bench.gateway.process import two_cores
from tests.bench.gateway.report import table
from tests.free import free_port

QUICK = Plan(rounds=1, seconds=1.0, streams=8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--alone", action="store_true")
    asked = parser.parse_args()
    proxy_core, other_core = two_cores()
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder), proxy_core, other_core, free_port())
        peers = [place.engine(), place.thumbwheel()]
        peers += [] if asked.alone else [place.litellm()]
        peers += [] if asked.alone or asked.quick else [place.fast_litellm()]
        with ended(*peers):
            os.sched_setaffinity(0, {other_core})
            _compare(peers, QUICK if asked.quick else Plan())
        faults = [*_wrong(peers), *_lost(peers)]
    sys.exit("\n".join(faults) if faults else 0)


def _compare(peers: list[Peer], plan: Plan) -> None:
    for peer in peers:
        warm(peer)
    rounds = {peer.name: [measure(peer, plan)] for peer in peers}
    for _ in range(plan.rounds - 1):
        for peer in peers:
            rounds[peer.name].append(measure(peer, plan))
    print("\n".join([*_machine(), "", *table(rounds)]), flush=True)


def _machine() -> Iterator[str]:
    info = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((x.partition(": ")[2] for x in info if x.startswith("model name")), "unknown")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    yield f"## {datetime.now(UTC):%Y-%m-%d}: what the gateway adds, beside LiteLLM's proxy"
    yield ""
    yield (
        f"Machine: {os.cpu_count()} vCPUs ({model}), {memory:.0f} GB, Python "
        f"{platform.python_version()}, load {os.getloadavg()[0]:.1f}. "
        f"Command: `{' '.join(['python -m tests.bench.gateway', *sys.argv[1:]])}`."
    )


def _wrong(peers: list[Peer]) -> Iterator[str]:
    for peer in peers:
        print(f"{peer.name}: {len(peer.answered)} answers, all whole but {len(peer.wrong)}")
        if peer.wrong:
            yield f"{peer.name}: {len(peer.wrong)} answers were wrong, the first: {peer.wrong[0]}"


def _lost(peers: list[Peer]) -> Iterator[str]:
    """The gateways have ended: what they answered is on their logs, each once, or is lost."""
    for peer in peers:
        if peer.log is None:
            continue
        with closing(open_log(peer.log)) as log:
            kept = [decode(r.value, (Completion,)) for r in read_all(log, "completions")]
        ids = [one.id for one in kept]
        broken = sum(one.error is not None for one in kept)
        print(f"{peer.name}: {len(ids)} completions on its log, {broken} of them broken off")
        if lost := set(peer.answered) - set(ids):
            yield f"{peer.name}: {len(lost)} answers are not on the log, as {min(lost)}"
        if len(set(ids)) < len(ids):
            yield f"{peer.name}: {len(ids) - len(set(ids))} completions are on the log twice"
        canaries = sum(one.adapter == "model-v2" for one in kept)
        print(f"{peer.name}: {canaries / len(ids):.1%} of them from the canary; 10% is its share")


if __name__ == "__main__":
    main()
