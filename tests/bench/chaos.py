"""Two hundred SIGKILLs on each log, and what came of it: `python -m tests.bench.chaos`."""

import argparse
import tempfile
import time
from pathlib import Path

from tests.integration.chaos import Report, chaos_on_kafka, chaos_on_sqlite

RUNS = {"sqlite": chaos_on_sqlite, "kafka": chaos_on_kafka}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", choices=RUNS, action="append")
    asked = parser.parse_args()
    reports = []
    for name in asked.log or RUNS:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            reports.append(RUNS[name](Path(folder), kills=asked.kills, seed=asked.seed))
        print(f"{name}, {time.monotonic() - began:,.0f} s")
        tell(reports[-1])
    raise SystemExit(any(report.complaints for report in reports))


def tell(report: Report) -> None:
    counts = report.ledger.counts
    rows = {
        "killed": ", ".join(f"{name} {times}" for name, times in sorted(report.kills.items())),
        "answers that came whole": f"{counts['chats answered']:,}",
        "answers that broke off or never came": f"{counts['chats failed']:,}",
        "verdicts said": f"{counts['verdicts said']:,}",
        "sent twice on purpose": f"{counts['verdicts sent twice']:,}",
        "sent again after an error": f"{counts['verdicts failed']:,}",
        "examples that stand": f"{len(report.standing):,}",
        "of them judged before the answer's end": f"{report.judged_early:,}",
        "lost, wrong, invented or twice": f"{len(report.complaints):,}",
    }
    for name, told in rows.items():
        print(f"  {name:40} {told}")
    for complaint in report.complaints[:20]:
        print(f"  {complaint}")


if __name__ == "__main__":
    main()
