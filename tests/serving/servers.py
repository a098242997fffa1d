"""A real server for an app, on a free port of this machine, in a thread."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from socket import socket
from threading import Thread

import uvicorn
from starlette.types import ASGIApp


class _Server(uvicorn.Server):
    async def main_loop(self) -> None:
        await self.on_tick(0)  # the default headers
        # Its own pause is a tenth of a second; another thread tells it to end.
        while not self.should_exit:  # noqa: ASYNC110
            await asyncio.sleep(0.005)

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """As uvicorn's, but for its pauses, which are a tenth of a second too."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        ends = time.monotonic() + 1
        while self.server_state.tasks and time.monotonic() < ends:  # noqa: ASYNC110 (no event tells)
            await asyncio.sleep(0.005)
        for task in self.server_state.tasks:
            task.cancel()
        await self.lifespan.shutdown()


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    config = uvicorn.Config(
        app, port=0, ws="none", log_level="warning", timeout_graceful_shutdown=1
    )
    server = _Server(config)
    thread = Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
