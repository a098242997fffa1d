"""The worker, wired: `python -m feedback`."""

import logging
import signal
import threading
from contextlib import closing

from feedback.log import LogAway, open_log
from feedback.metrics import Metrics
from feedback.settings import Settings
from feedback.window import Window
from feedback.worker import Worker

_log = logging.getLogger("feedback")


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    settings, stop = Settings(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    metrics = Metrics()
    with (
        closing(open_log(settings.log)) as log,
        closing(Window(settings.feedback_window)) as window,
    ):
        worker = Worker(log, window, settings.examples, metrics)
        metrics.serve(settings.feedback_metrics_port)
        partitions = range(log.partitions("verdicts"))
        while not stop.wait(settings.feedback_linger_seconds):
            try:
                while any([worker.step(partition) for partition in partitions]):
                    pass
            except LogAway as error:
                _log.warning("the log is away: %s", error)


if __name__ == "__main__":
    main()
