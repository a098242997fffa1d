"""The controller, wired: `python -m ops`."""

import logging
import signal
import threading
from contextlib import closing

from feedback.begin import no_arguments, settings_told
from feedback.log import LogAway, open_log
from ops.act import SplitContended, warm
from ops.controller import Controller
from ops.metrics import Metrics
from ops.observe import Observer
from ops.settings import Settings

_log = logging.getLogger("ops")


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    for loud in ("httpx", "kafka"):
        logging.getLogger(loud).setLevel(logging.WARNING)
    with settings_told():
        settings = Settings()
        opened = open_log(settings.log_url)
    stop, metrics = threading.Event(), Metrics()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with closing(opened) as log:
        controller = Controller(
            log,
            settings.adapters_folder,
            rules=settings.rules,
            observer=Observer(log, settings.examples_folder),
            warm=lambda adapter: _warm_all(settings, adapter),
            metrics=metrics,
        )
        _serve(metrics, settings.ops_metrics_port)
        while not stop.is_set():
            _tick(controller, metrics)
            stop.wait(settings.ops_tick_seconds)


def _serve(metrics: Metrics, port: int) -> None:
    try:
        metrics.serve(port)
    except OSError as error:
        raise SystemExit(f"ops_metrics_port is {port}: {error.strerror}") from error


def _warm_all(settings: Settings, adapter: str) -> None:
    key = settings.engine_key.get_secret_value() if settings.engine_key else None
    for url in settings.engine_url:
        warm(url, adapter, key)


def _tick(controller: Controller, metrics: Metrics) -> None:
    try:
        controller.tick()
    except (LogAway, SplitContended, ConnectionError) as error:
        metrics.failed()
        _log.warning("nothing moves, the next tick tries again: %s", error)


if __name__ == "__main__":
    no_arguments("python -m ops", __doc__)
    main()
