"""How long a verdict waits while brokers die: `python -m tests.bench.election`.

Clients, gateway, worker and three brokers share the machine: its load is told with the figures.
"""

import argparse
import os
import tempfile
from pathlib import Path

from tests.integration.election import election


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--calm-seconds", type=float, default=15)
    parser.add_argument("--pause-seconds", type=float, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = election(
            Path(folder),
            seed=asked.seed,
            calm_seconds=asked.calm_seconds,
            away_seconds=asked.calm_seconds,
            pause_seconds=asked.pause_seconds,
        )
    print(*report.lines(), sep="\n")
    print(f"{os.cpu_count()} cores, load over the last minute {os.getloadavg()[0]:.1f}")
    counts = report.ledger.counts
    print(f"{counts['chats answered']:,} answers, {counts['chats failed']:,} errors")
    print(f"{counts['verdicts answered']:,} verdicts sent, {counts['verdicts failed']:,} errors")
    print(f"{len(report.standing):,} examples, {len(report.complaints):,} lost, wrong or twice")
    raise SystemExit(bool(report.complaints))


if __name__ == "__main__":
    main()
