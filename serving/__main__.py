"""The serving process: real parts wired to routes. `python -m serving`"""

import logging
import signal
import sys
from contextlib import ExitStack, closing

import uvicorn
from fastapi import FastAPI

from feedback.log import open_log
from feedback.spool import Spool
from serving.api import Parts, build
from serving.chat import Chat
from serving.engine import Engine
from serving.metrics import Metrics
from serving.settings import Settings
from serving.table import Table
from serving.verdicts import Verdicts

SHUTDOWN_SECONDS = 5


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells of every request
    # uvicorn ends its requests on SIGTERM, then hands the signal on to us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
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
    log = until_the_end.enter_context(closing(open_log(settings.log)))
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
            chat=Chat(settings.name, secret, table.current, engine, spool, metrics),
            verdicts=Verdicts(secret, spool, metrics),
            engine=engine,
            table=table,
            metrics=metrics,
        )
    )


if __name__ == "__main__":
    main()
