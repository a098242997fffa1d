"""The worker, wired: `python -m feedback`."""

import logging
import signal
import threading
from contextlib import ExitStack, closing

from feedback.log import Log, LogAway, open_log
from feedback.metrics import Metrics
from feedback.settings import Settings
from feedback.shares import Shares
from feedback.window import Window
from feedback.worker import Worker

_log = logging.getLogger("feedback")


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    settings, stop = Settings(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    metrics = Metrics()
    metrics.serve(settings.feedback_metrics_port)
    with closing(open_log(settings.log)) as log:
        while not stop.is_set():
            try:
                work(settings, log, metrics, stop)
            except LogAway as error:
                _log.warning("the log is away: %s", error)
                stop.wait(settings.feedback_linger_seconds)


def work(settings: Settings, log: Log, metrics: Metrics, stop: threading.Event) -> None:
    """Until told to stop: this worker's share of the partitions, each with a window of its own."""
    workers: dict[int, Worker] = {}
    folder, partitions = settings.feedback_window, log.partitions("verdicts")
    with ExitStack() as opened:
        shares = Shares(folder, partitions=partitions, workers=settings.feedback_workers)
        opened.enter_context(closing(shares))
        while not stop.wait(settings.feedback_linger_seconds):
            for partition in set(shares.mine()) - workers.keys():
                window = opened.enter_context(closing(Window(folder / f"{partition:04d}.db")))
                workers[partition] = Worker(log, window, settings.examples, metrics)
                _log.info("partition %d is this worker's", partition)
            while any([worker.step(partition) for partition, worker in workers.items()]):
                pass


if __name__ == "__main__":
    main()
