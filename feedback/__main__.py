"""The worker, wired: `python -m feedback`."""

import gc
import logging
import signal
import sqlite3
import threading
from contextlib import closing

from feedback.begin import no_arguments, settings_told
from feedback.crew import Crew
from feedback.log import LogAway, open_log
from feedback.metrics import Metrics
from feedback.settings import Settings

RETRY_SECONDS = 1.0
# A batch is tens of thousands of objects, none of them in a cycle: to look through them again and
# again for cycles took up to a third of the time.
OBJECTS_BETWEEN_COLLECTIONS = 100_000
_log = logging.getLogger("feedback")


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("kafka").setLevel(logging.WARNING)
    with settings_told("feedback", Settings.model_fields):
        settings = Settings()
        opened = open_log(settings.log)
    tune()
    stop, metrics = threading.Event(), Metrics()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    _serve(metrics, settings.feedback_metrics_host, settings.feedback_metrics_port)
    with closing(opened) as log:
        while not stop.is_set():
            try:
                with closing(Crew(settings, log, metrics)) as crew:
                    while not stop.is_set():
                        if not crew.turn():
                            stop.wait(settings.feedback_linger_seconds)
            except (LogAway, OSError, sqlite3.OperationalError) as error:  # as on a full disk
                _log.error("no verdict is joined at the moment, and it is tried again: %s", error)
                metrics.failed()
                stop.wait(RETRY_SECONDS)


def tune() -> None:
    gc.freeze()  # what was imported stays
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)


def _serve(metrics: Metrics, host: str, port: int) -> None:
    try:
        metrics.serve(host, port)
    except OSError as error:
        told = "is another worker here? give each its own THUMBWHEEL_FEEDBACK_METRICS_PORT"
        raise SystemExit(
            f"feedback_metrics_port is {port} of {host}: {error.strerror}; {told}"
        ) from error


if __name__ == "__main__":
    no_arguments("python -m feedback", __doc__)
    main()
