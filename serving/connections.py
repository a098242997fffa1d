"""The only file that opens connections to an engine, and keeps them: HTTP/1.1.

In place of a library's client, which takes longer for a request than all else that we do for it.
It does what asking an engine takes: no redirects, no cookies, no proxies.
"""

import ssl
from asyncio import TimerHandle, get_running_loop, timeout
from urllib.parse import urlsplit

from serving.connection import KEEPALIVE_SECONDS, Connection, away
from serving.errors import EngineAway
from serving.limits import Patience

CONNECT_SECONDS = 2.0


class Connections:
    """`headers`: those of every request, by their names."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        at = urlsplit(url)
        self._place = at.hostname or "", at.port or (443 if at.scheme == "https" else 80)
        self._tls = ssl.create_default_context() if at.scheme == "https" else None
        self._path = at.path.rstrip("/")
        self._head = _lines({"host": at.netloc} | headers)
        self._idle: list[Connection] = []
        self._sweeps: TimerHandle | None = None
        self._closed = False

    def get(self, path: str, patience: Patience) -> "Exchange":
        return Exchange(self, b"%s%s\r\n" % (self._first("GET", path), self._head), patience)

    def post(
        self, path: str, body: bytes, *, headers: dict[str, str], patience: Patience
    ) -> "Exchange":
        more = _lines(headers | {"content-length": str(len(body))})
        head = self._first("POST", path), self._head, more
        return Exchange(self, b"%s%s%s\r\n%s" % (*head, body), patience)

    async def take(self) -> Connection:
        """One that was left open, or a new one."""
        now = get_running_loop().time()
        while self._idle:
            connection = self._idle.pop()
            if connection.may_be_used_at(now):
                return connection
            connection.close()
        host, port = self._place
        opening = get_running_loop().create_connection(Connection, host, port, ssl=self._tls)
        try:
            async with timeout(CONNECT_SECONDS):
                _, connection = await opening
        except TimeoutError as error:
            said = f"the engine took no connection in {CONNECT_SECONDS:g} s"
            raise EngineAway(said) from error
        except OSError as error:
            raise away(error) from error
        return connection

    def give_back(self, connection: Connection) -> None:
        if self._closed or not connection.is_free:
            connection.close()
            return
        self._idle.append(connection)
        if self._sweeps is None:
            self._sweep_later()

    def close(self) -> None:
        self._closed = True
        if self._sweeps:
            self._sweeps.cancel()
        while self._idle:
            self._idle.pop().close()

    def _first(self, method: str, path: str) -> bytes:
        return f"{method} {self._path}{path} HTTP/1.1\r\n".encode()

    def _sweep_later(self) -> None:
        self._sweeps = get_running_loop().call_later(KEEPALIVE_SECONDS, self._sweep)

    def _sweep(self) -> None:
        """Close those that nobody needed for so long."""
        now, self._sweeps = get_running_loop().time(), None
        kept = list[Connection]()
        for one in self._idle:
            if one.may_be_used_at(now):
                kept.append(one)
            else:
                one.close()
        self._idle = kept
        if kept:
            self._sweep_later()


class Exchange:
    """A request, and while it lasts the connection on which its answer comes."""

    def __init__(self, connections: Connections, request: bytes, patience: Patience) -> None:
        self._connections, self._request, self._patience = connections, request, patience

    async def __aenter__(self) -> Connection:
        self._connection = await self._connections.take()
        request, self._request = self._request, b""  # not held for as long as the answer takes
        try:
            await self._connection.ask(request, self._patience)
        except BaseException:
            self._connection.close()
            raise
        return self._connection

    async def __aexit__(self, *_: object) -> None:
        self._connections.give_back(self._connection)


def _lines(headers: dict[str, str]) -> bytes:
    for name, value in headers.items():
        if not value.isascii() or not value.isprintable():  # its value may be a secret
            raise ValueError(f"{name} has a character that no header may have")
    return "".join([f"{name}: {value}\r\n" for name, value in headers.items()]).encode()
