"""What the gateway's time goes to: one load, and the costliest functions by their own time.

`python -m tests.bench.gateway.profile whole|stream|paced [--seconds 4] [--lines 40]
[--sort tottime|cumulative] [--plain]`; --plain does without cProfile, which makes it some three
times as slow, and tells the cost of each answer as it is.
"""

import argparse
import os
import pstats
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.bench.gateway.load import Seen, crowded, paced
from tests.bench.gateway.peers import SERVING, Peer, Place, ended
from tests.bench.gateway.process import two_cores
from tests.bench.gateway.wishes import LONG, PACED, WHOLE
from tests.free import free_port

WARM_SECONDS = 1.0
LOADS: dict[str, Callable[[int, float], Seen]] = {
    "whole": lambda port, seconds: crowded(port, WHOLE, at_once=32, seconds=seconds),
    "stream": lambda port, seconds: crowded(port, LONG, at_once=64, seconds=seconds),
    "paced": lambda port, seconds: paced(port, PACED, rate=100, seconds=seconds),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("load", choices=LOADS)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--lines", type=int, default=40)
    parser.add_argument("--sort", default="tottime")
    parser.add_argument("--plain", action="store_true")
    asked = parser.parse_args()
    proxy_core, other_core = two_cores()
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder), proxy_core, other_core, free_port())
        found = Path(folder) / "profile"
        profiled = ("-m", "tests.bench.gateway.profiled", str(found))
        gateway = place.thumbwheel(SERVING if asked.plain else profiled)
        with ended(place.engine(), gateway):
            os.sched_setaffinity(0, {other_core})
            _load(gateway, LOADS[asked.load], asked.seconds, profiled=not asked.plain)
        print(gateway.process.output.read_text(errors="replace"))
        if not asked.plain:
            pstats.Stats(str(found)).sort_stats(asked.sort).print_stats(asked.lines)


def _load(
    gateway: Peer, load: Callable[[int, float], Seen], seconds: float, *, profiled: bool
) -> None:
    load(gateway.port, WARM_SECONDS)
    before = gateway.process.cpu_seconds
    if profiled:
        gateway.process.popen.send_signal(signal.SIGUSR1)
    seen = load(gateway.port, seconds)
    taken = gateway.process.cpu_seconds - before
    print(f"{seen.answered} answers of {seen.wish.tokens} tokens in {seen.seconds:.1f} s", end=", ")
    print(f"{len(seen.wrong)} wrong {seen.wrong[:1]}")
    print(f"{taken / seen.answered * 1e6:,.0f} us of the processor for each")
    print("since its start, of its threads:", *(f"{s:.2f} s" for s in gateway.process.threads()))


if __name__ == "__main__":
    main()
