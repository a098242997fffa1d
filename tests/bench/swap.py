"""What a hundred changes of the split cost a stream: `python -m tests.bench.swap`.

Runs without and with changes in turn, each with a gateway and an engine of its own. Told is the
longest pause inside each stream, at its reader.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from tests.integration.alone import gateway
from tests.integration.swapping import Plan, Run, run
from tests.integration.telling import LOAD_SECONDS, telling_engine

MOST_MS = 50.0  # that the p99 may be longer than without changes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    # Two cores serve 50 at once as well, but then they are what a stream waits for.
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    print(
        f"{asked.requests:,} streams a run, {asked.at_once} at once; an adapter's first use stops "
        f"the engine for {1000 * LOAD_SECONDS:.0f} ms; longest pause inside a stream in ms:"
    )
    changed = Plan(requests=asked.requests, at_once=asked.at_once)
    calm = replace(changed, adapters=0)
    rounds = [(_run(calm), _run(changed)) for _ in range(asked.rounds)]
    more = [run.pause_ms(99) - before.pause_ms(99) for before, run in rounds]
    print(f"p99 with changes, more than without: {', '.join(f'{one:+.1f} ms' for one in more)}")
    broken = any(one.complaints for pair in rounds for one in pair)
    raise SystemExit(broken or max(more) > MOST_MS)


def _run(plan: Plan) -> Run:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with telling_engine(folder) as engine, gateway(folder, engine) as placed:
            done = run(placed, plan)
    pauses = "  ".join(f"p{percent} {done.pause_ms(percent):6.1f}" for percent in (50, 90, 99, 100))
    print(
        f"{plan.changes:4} changes, {len(done.adapters):2} adapters: {pauses}  "
        f"({len(done.heard) / done.seconds:.0f} a second, {len(done.complaints)} complaints)",
        flush=True,
    )
    for complaint in done.complaints[:20]:
        print(f"  {complaint}")
    return done


if __name__ == "__main__":
    main()
