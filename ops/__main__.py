"""The controller and its control API, wired: `python -m ops`."""

import logging
import secrets
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial

from feedback.begin import no_arguments, settings_told
from feedback.log import Log, LogAway, open_log
from ops import marks
from ops.act import SplitContended, warm_all
from ops.api import Place, build
from ops.controller import Controller, Parts
from ops.copies import Copies
from ops.declared import Declared
from ops.history import Past
from ops.kubernetes import Kubernetes
from ops.lease import Lease
from ops.metrics import Metrics
from ops.observe import Asked, Observer
from ops.queries import Prometheus
from ops.refusal import USUAL, compiled
from ops.release import Helm
from ops.releases import Releases, Tells
from ops.serve import serving
from ops.settings import Settings, foreign_env
from ops.values_file import ValuesFile
from serving.store import Store

_log = logging.getLogger("ops")


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # what it fails at is told by who asked
    with settings_told("ops", Settings.model_fields):
        settings = Settings()
        opened = open_log(settings.log_url)
        fetched_from = Store(settings.ops_copies) if settings.ops_copies else None
    stop, metrics = threading.Event(), Metrics()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with closing(opened) as log, _api(settings, log):
        _serve(metrics, settings.ops_metrics_host, settings.ops_metrics_port)
        _lead(settings, log, fetched_from, metrics, stop)


def _lead(
    settings: Settings,
    log: Log,
    fetched_from: Store | None,
    metrics: Metrics,
    stop: threading.Event,
) -> None:
    lease = Lease(log, f"{socket.gethostname()}-{secrets.token_hex(4)}", settings.ops_lease_seconds)
    copies = None
    if fetched_from:
        served = partial(_served, Past(log))
        copies = Copies(settings.adapters_folder, fetched_from, lease.leads, served, metrics)
        # A daemon: what is half sent is sent again, and nobody waits for a store that hangs.
        threading.Thread(target=copies.run, args=(stop,), name="copies", daemon=True).start()
    observer = Observer(
        log,
        settings.examples_folder,
        compiled(settings.ops_refusals or USUAL),
        outcomes=[one.of for one in settings.ops_evidence],
        slow_ratio=settings.ops_max_latency_ratio,
        queried=_queried(settings),
    )
    parts = Parts(
        log=log,
        adapters=settings.adapters_folder,
        name=settings.name,
        observer=observer,
        warm=partial(_warm, settings, copies),
        leads=lease.leads,
        metrics=metrics,
    )
    controller = Controller(parts, settings.rules)
    with _releases(settings, parts, lease, stop):
        while not stop.is_set():
            _tick(controller, metrics)
            stop.wait(settings.ops_tick_seconds)
    try:
        lease.give_back()
    except LogAway as error:
        _log.warning("the lease is not given back, and runs out by itself: %s", error)


def _served(past: Past) -> set[str]:
    return {name for split in past.splits()[-1:] for name in marks.served(split)}


def _warm(settings: Settings, copies: Copies | None, adapter: str) -> None:
    if copies:
        copies.expect(adapter)
    key = settings.engine_key.get_secret_value() if settings.engine_key else None
    warm_all(settings.engine_url, adapter, key)


@contextmanager
def _releases(
    settings: Settings, parts: Parts, lease: Lease, stop: threading.Event
) -> Iterator[None]:
    """What Helm says and what serves are kept the same, where there is a release."""
    if not settings.ops_release:
        yield
        return
    with closing(Kubernetes(settings.account)) as kubernetes:
        releases = Releases(
            log=parts.log,
            adapters=parts.adapters,
            declared=partial(_declared, kubernetes, settings.ops_release),
            teller=_teller(settings, settings.ops_release),
            leads=lease.leads,
            metrics=parts.metrics,
            each_look=settings.ops_release_file is not None,
        )
        thread = threading.Thread(target=releases.run, args=(stop,), name="releases")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()  # helm, half way, would leave a release that nobody can change


def _declared(kubernetes: Kubernetes, name: str) -> Declared | None:
    data = kubernetes.config_map(name)
    return None if data is None else Declared.read(data)


def _teller(settings: Settings, release: str) -> Tells:
    if settings.ops_release_file:
        return ValuesFile(settings.ops_release_file)
    return Helm(settings.account, release, keeps=settings.ops_release_keeps, env=foreign_env())


@contextmanager
def _api(settings: Settings, log: Log) -> Iterator[None]:
    place = Place(
        log=log,
        examples=settings.examples_folder,
        adapters=settings.adapters_folder,
        key=settings.ops_key.get_secret_value() if settings.ops_key else None,
        alert_reach_seconds=settings.ops_alert_reach_seconds,
    )
    with serving(build(place), settings.ops_host, settings.ops_port):
        yield


def _serve(metrics: Metrics, host: str, port: int) -> None:
    try:
        metrics.serve(host, port)
    except OSError as error:
        raise SystemExit(f"ops_metrics_port is {port} of {host}: {error.strerror}") from error


def _queried(settings: Settings) -> Asked:
    if not settings.ops_prometheus_url:
        return lambda _: ()
    return Prometheus(str(settings.ops_prometheus_url), settings.ops_queries).ask


def _tick(controller: Controller, metrics: Metrics) -> None:
    try:
        with metrics.timed():
            controller.tick()
    except (LogAway, SplitContended, ConnectionError) as error:
        metrics.failed(blind=isinstance(error, LogAway))
        _log.warning("nothing moves, the next tick tries again: %s", error)
    except Exception:  # the control API must go on, whatever is wrong with what is looked at
        metrics.failed()
        _log.exception("nothing moves, the next tick tries again")


if __name__ == "__main__":
    no_arguments("python -m ops", __doc__)
    main()
