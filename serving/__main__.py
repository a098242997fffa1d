"""The gateway: a process in front of one or many vLLM servers. `python -m serving`"""

import gc
import logging
import signal
import socket
import sys
from contextlib import ExitStack

import uvicorn

from feedback.begin import no_arguments, settings_told
from serving.api import build
from serving.engine import Engine
from serving.limits import Patience
from serving.protocol import protocol
from serving.settings import Settings
from serving.wiring import wire

OBJECTS_BETWEEN_COLLECTIONS = 50_000
READER_BYTES = 128 * 1024  # the system doubles it


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("kafka").setLevel(logging.WARNING)  # it tells of every request
    # uvicorn ends its requests on SIGTERM, then hands the signal on to us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with ExitStack() as until_the_end:
        with settings_told("serving", Settings.model_fields):
            settings = Settings()
            app = build(wire(settings, over_http(settings), until_the_end))
        gc.freeze()  # what is there now stays: to look through it again and again takes 50 ms
        gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
        config = uvicorn.Config(
            app,
            http=protocol(settings.serving_request_seconds),
            host=settings.serving_host,
            port=settings.serving_port,
            access_log=False,
            proxy_headers=False,  # nobody asks who is behind a proxy
            timeout_graceful_shutdown=settings.serving_drain_seconds,
        )
        listening = _bound(settings.serving_host, settings.serving_port)
        # What the system holds for a slow reader is remembered here too, at twice its size.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, READER_BYTES)
        uvicorn.Server(config).run(sockets=[listening])


def _bound(host: str, port: int) -> socket.socket:
    try:
        (family, *_), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        told = f"serving_host is {host!r}, serving_port is {port}: {error.strerror}"
        raise SystemExit(told) from error


def over_http(settings: Settings) -> list[Engine]:
    key = settings.engine_key
    return [
        Engine(
            url,
            settings.name,
            patience=Patience(settings.serving_silence_seconds, settings.serving_answer_seconds),
            key=key.get_secret_value() if key else None,
        )
        for url in settings.engine_url
    ]


if __name__ == "__main__":
    no_arguments("python -m serving", __doc__)
    main()
