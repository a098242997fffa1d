"""The serving process: real parts wired to routes. `python -m serving`"""

import logging
import re
import signal
import sys
from contextlib import ExitStack, closing
from importlib import import_module

import uvicorn
from fastapi import FastAPI

from feedback.begin import settings_told
from feedback.log import VERDICTS, Log, LogAway, open_log
from feedback.privacy import BUILT_IN, Redact
from feedback.spool import Spool
from serving.api import Parts, build
from serving.chat import Chat
from serving.engine import Engine
from serving.metrics import Metrics
from serving.parents import Parents
from serving.settings import Settings
from serving.table import Table
from serving.verdicts import Verdicts

SHUTDOWN_SECONDS = 5
_log = logging.getLogger(__name__)


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    for loud in ("httpx", "kafka"):  # they tell of every request
        logging.getLogger(loud).setLevel(logging.WARNING)
    # uvicorn ends its requests on SIGTERM, then hands the signal on to us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with settings_told():
        settings = Settings()
    with ExitStack() as until_the_end:
        uvicorn.run(
            wire(settings, until_the_end),
            host=settings.serving_host,
            port=settings.serving_port,
            access_log=False,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )


def wire(settings: Settings, until_the_end: ExitStack) -> FastAPI:
    redact = redactor(settings.serving_redact) if settings.serving_redact else None
    log = until_the_end.enter_context(closing(open_log(settings.log)))
    check(log)
    waiting = Spool(settings.serving_spool, log, max_bytes=settings.serving_spool_max_bytes)
    spool = until_the_end.enter_context(closing(waiting))
    table = until_the_end.enter_context(closing(Table(log, settings.serving_first_stable)))
    table.start()
    metrics = Metrics()
    metrics.watch(split_revision=table.revision, spool_bytes=lambda: spool.waiting_bytes)
    secret = settings.secret.get_secret_value().encode()
    engine = Engine(
        settings.engine_url,
        settings.name,
        answer_seconds=settings.serving_answer_seconds,
        connections=settings.serving_engine_connections,
    )
    return build(
        Parts(
            name=settings.name,
            max_body_bytes=settings.serving_max_body_bytes,
            chat=Chat(
                name=settings.name,
                secret=secret,
                split=table.current,
                engine=engine,
                spool=spool,
                metrics=metrics,
                parent=Parents(settings.adapters).of,
                redact=redact,
            ),
            verdicts=Verdicts(secret, spool, metrics, redact),
            engine=engine,
            table=table,
            metrics=metrics,
        )
    )


def check(log: Log) -> None:
    """One that would lose or misplace records ends the process; one that is away does not."""
    try:
        log.partitions(VERDICTS.name)
    except LogAway as error:
        _log.warning("the log is away; what comes waits in the spool: %s", error)
    except ValueError as error:
        sys.exit(f"the log is refused: {error}")


def redactor(name: str) -> Redact:
    """A built-in one, or the operator's own. A name of none ends the process."""
    if name in BUILT_IN:
        return BUILT_IN[name]
    said = f"serving_redact is {name!r}; expected"
    if not re.fullmatch(r"\w+(?:\.\w+)*:\w+", name):
        sys.exit(f"{said} {', '.join(BUILT_IN)} or package.module:function")
    place, _, function = name.partition(":")
    try:
        module = import_module(place)
    except ImportError as error:
        sys.exit(f"{said} a module that can be imported: {error}")
    if not hasattr(module, function):
        sys.exit(f"{said} a function of {place}, which has no {function}")
    found = getattr(module, function)
    if not callable(found):
        sys.exit(f"{said} a function, not a {type(found).__name__}")
    redact: Redact = found
    return redact


if __name__ == "__main__":
    main()
