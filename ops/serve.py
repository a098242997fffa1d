"""An ASGI app, served by a thread of this process."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

_END_SECONDS = 5.0


@contextmanager
def serving(app: ASGIApp, host: str, port: int) -> Iterator[None]:
    try:
        listening = socket.create_server((host, port))
    except OSError as error:
        raise SystemExit(f"ops_port is {port}, on {host}: {error.strerror}") from error
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    sockets = {"sockets": [listening]}
    thread = threading.Thread(target=server.run, kwargs=sockets, name="control API", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(timeout=_END_SECONDS)
