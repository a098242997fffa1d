"""How soon every replica follows a split: `python -m tests.bench.split`. On both logs."""

import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import median, quantiles

from feedback.events import encode
from feedback.log import open_log
from ops.demo.brokers import brokers
from serving.split import SPLIT_KEY
from serving.table import Table
from tests.serving.gateway import split, until

REPLICAS, CHANGES, PAUSE_SECONDS = 4, 200, 0.07  # no multiple of the time between two looks


def follow(name: str, url: str) -> None:
    with ExitStack() as until_the_end:
        enter = until_the_end.enter_context
        log = enter(closing(open_log(url)))
        log.append("split", SPLIT_KEY, encode(split(1)))
        # Each replica has a connection of its own, as a process has.
        tables = [Table(enter(closing(open_log(url)))) for _ in range(REPLICAS)]
        for table in tables:
            enter(closing(table)).start()
        until(lambda: all(table.revision() == 1 for table in tables), 30)
        seen = []
        for revision in range(2, CHANGES + 2):
            time.sleep(PAUSE_SECONDS)
            log.append("split", SPLIT_KEY, encode(split(revision)))
            appended = time.perf_counter()
            while not all(table.revision() == revision for table in tables):
                time.sleep(0.001)
            seen.append((time.perf_counter() - appended) * 1000)
        p99 = quantiles(seen, n=100)[98]
        print(f"| {name} | {median(seen):.0f} | {p99:.0f} | {max(seen):.0f} |", flush=True)


def main() -> None:
    about = f"{REPLICAS} replicas, {CHANGES} changes: the last one follows"
    print(f"| {about} | p50, ms | p99, ms | most, ms |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        follow("SQLite", f"sqlite:///{folder}/log.db")
        with brokers(Path(folder)) as (broker,):
            follow("Kafka, one broker", f"kafka://{broker.address}")


if __name__ == "__main__":
    main()
