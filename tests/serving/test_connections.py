"""The client for HTTP beside a server that says just these bytes."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from serving import connection, connections
from serving.connection import MOST_WAITING_BYTES
from serving.connections import Connections
from serving.errors import AnswerTooLong, BadAnswer, EngineAway, EngineError, EngineSlow
from serving.limits import Patience
from tests.serving.certificate import made_out_to

pytestmark = pytest.mark.anyio
PATIENCE = Patience(silence_seconds=5, answer_seconds=5)
HEAD = b"HTTP/1.1 200 OK\r\n"
WHOLE = HEAD + b"content-length: 2\r\n\r\nhi"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


@dataclass
class Server:
    """Says these to each request, in turn, with a pause between two; `closes` then."""

    says: Sequence[bytes]
    pause_seconds: float = 0.0
    closes: bool = False
    resets: bool = False  # in place of closing
    hangs_up: bool = False  # at once
    url: str = ""
    asked: list[bytes] = field(default_factory=list)
    met: int = 0  # connections
    left: int = 0
    all_left: asyncio.Event = field(default_factory=asyncio.Event)
    said: int = 0  # bytes that the system took

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.met += 1
        self.all_left.clear()
        if self.hangs_up:
            writer.transport.abort()
        # uvloop has a RuntimeError for whoever writes behind the end.
        with suppress(ConnectionError, asyncio.IncompleteReadError, RuntimeError):
            while True:
                self.asked.append(await reader.readuntil(b"\r\n\r\n"))
                for some in self.says:
                    writer.write(some)
                    await writer.drain()
                    self.said += len(some)
                    await asyncio.sleep(self.pause_seconds)
                if self.closes:
                    break
        if self.resets:  # what it has not sent is lost, and the other side told so
            off = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, off)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        self.left += 1
        if self.left == self.met:
            self.all_left.set()


@asynccontextmanager
async def serving(server: Server, tls: ssl.SSLContext | None = None) -> AsyncIterator[Connections]:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    host, port = listening.sockets[0].getsockname()
    scheme = "https" if tls else "http"
    asking = Connections(f"{scheme}://{host}:{port}/base/", {"x-key": "k"})
    try:
        yield asking
    finally:
        asking.close()
        listening.close()
        if server.left < server.met:
            await server.all_left.wait()


async def all_of(asking: Connections, patience: Patience = PATIENCE) -> tuple[int, bytes]:
    async with asking.get("/path", patience) as reply:
        return reply.status, await reply.all()


async def test_a_request_has_its_path_the_host_and_the_headers() -> None:
    server = Server([WHOLE])
    async with (
        serving(server) as asking,
        asking.post("/path", b"", headers={"x-more": "m"}, patience=PATIENCE) as reply,
    ):
        assert await reply.all() == b"hi"
    first, *lines = server.asked[0].decode().split("\r\n")
    assert first == "POST /base/path HTTP/1.1"
    assert lines[0].startswith("host: 127.0.0.1:")
    assert {"x-key: k", "x-more: m", "content-length: 0"} <= {*lines}


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", "a\rb", "a\0b", "k\u201d"])
def test_a_header_that_is_none_is_refused_and_not_told(value: str) -> None:
    asking = Connections("http://127.0.0.1:1", {})
    with pytest.raises(ValueError, match=r"^x-more has a character that no header may have$"):
        asking.post("/", b"", headers={"x-more": value}, patience=PATIENCE)
    with pytest.raises(ValueError, match=r"^authorization has a character"):
        Connections("http://127.0.0.1:1", {"authorization": value})


async def test_a_connection_is_used_again_once_its_answer_was_read() -> None:
    server = Server([WHOLE])
    async with serving(server) as asking:
        for _ in range(3):
            assert await all_of(asking) == (200, b"hi")
    assert server.met == 1


@pytest.mark.parametrize(
    "says",
    [
        HEAD + b"connection: close\r\ncontent-length: 2\r\n\r\nhi",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi",
        WHOLE + WHOLE,
    ],
    ids=["closing", "HTTP/1.0", "two answers"],
)
async def test_it_is_not_used_again_where_the_server_goes_its_own_way(says: bytes) -> None:
    server = Server([says])
    async with serving(server) as asking:
        for _ in range(2):
            assert await all_of(asking) == (200, b"hi")
    assert server.met == 2


async def test_it_is_not_used_again_when_its_reader_stopped_before_the_end() -> None:
    server = Server([CHUNKED + b"2\r\nhi\r\n"])
    async with serving(server) as asking:
        for _ in range(2):
            async with asking.get("/path", PATIENCE) as reply:
                assert await reply.some() == b"hi"
        await asyncio.sleep(0.05)
    assert (server.met, server.left) == (2, 2)


async def test_it_is_not_used_again_when_the_server_left_meanwhile() -> None:
    server = Server([WHOLE], closes=True)
    async with serving(server) as asking:
        for _ in range(2):
            assert await all_of(asking) == (200, b"hi")
            await asyncio.sleep(0.05)
    assert server.met == 2


async def test_one_that_nobody_needs_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (connection, connections):
        monkeypatch.setattr(module, "KEEPALIVE_SECONDS", 0.05)
    server = Server([WHOLE])
    async with serving(server) as asking:
        await all_of(asking)
        await asyncio.sleep(0.3)
        assert server.left == 1


async def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    async with serving(Server([HEAD + b"\r\nh", b"i"], closes=True)) as asking:
        assert await all_of(asking) == (200, b"hi")


async def test_an_answer_before_the_answer_is_passed_over() -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n"
    async with serving(Server([early, WHOLE], pause_seconds=0.05)) as asking:
        assert await all_of(asking) == (200, b"hi")


async def test_what_came_is_read_before_it_is_told_that_the_rest_is_missing() -> None:
    server = Server([CHUNKED + b"2\r\nhi\r\n"], closes=True)
    async with serving(server) as asking, asking.get("/path", PATIENCE) as reply:
        assert await reply.some() == b"hi"
        with pytest.raises(EngineAway, match="ConnectionResetError"):
            await reply.some()


@pytest.mark.parametrize(
    ("server", "patience", "error"),
    [
        (Server([HEAD + b"content-length: 3\r\n\r\nhi"], closes=True), PATIENCE, EngineAway),
        (Server([b""], closes=True), PATIENCE, EngineAway),
        (Server([HEAD + b"\r\nhalf"], 0.1, resets=True, closes=True), PATIENCE, EngineAway),
        (Server([b"HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\n"]), PATIENCE, BadAnswer),
        (Server([b"SSH-2.0-OpenSSH\r\n"]), PATIENCE, BadAnswer),
        (Server([HEAD + b"content-length: x\r\n\r\n"]), PATIENCE, BadAnswer),
        (Server([CHUNKED + b"z\r\n"]), PATIENCE, BadAnswer),
        (Server([b""]), Patience(0.1, 5), EngineSlow),
        (Server([CHUNKED]), Patience(0.1, 5), EngineSlow),
        (Server([CHUNKED, *[b"1\r\na\r\n"] * 9], 0.05), Patience(0.2, 0.3), AnswerTooLong),
    ],
    ids=[
        "cut",
        "nothing",
        "reset",
        "another protocol",
        "no HTTP",
        "no length",
        "no chunk",
        "mute",
        "mute later",
        "too long",
    ],
)
async def test_each_trouble_has_its_name(
    server: Server, patience: Patience, error: type[EngineError]
) -> None:
    async with serving(replace(server, all_left=asyncio.Event())) as asking:
        with pytest.raises(error):
            await all_of(asking, patience)


async def test_a_server_that_hangs_up_at_once_is_away_whenever_that_is_seen() -> None:
    async with serving(Server([], hangs_up=True)) as asking:
        for _ in range(30):
            with pytest.raises(EngineAway):
                await all_of(asking)


async def test_signs_of_life_are_no_silence() -> None:
    says = [CHUNKED, *[b"1\r\na\r\n"] * 5, b"0\r\n\r\n"]
    async with serving(Server(says, pause_seconds=0.06)) as asking:
        assert await all_of(asking, Patience(0.2, 5)) == (200, b"aaaaa")


async def test_who_reads_slowly_holds_up_the_server_and_is_not_taken_for_silence() -> None:
    block = b"10000\r\n%s\r\n" % (b"a" * 65_536)
    server = Server([CHUNKED, *[block] * 400, b"0\r\n\r\n"])
    async with serving(server) as asking, asking.get("/path", Patience(0.1, 5)) as reply:
        await asyncio.sleep(0.3)
        held = server.said  # most of it by the system, in its buffers
        first = await reply.some()
        rest = await reply.all()
    assert len(first) < MOST_WAITING_BYTES + 300_000
    assert held < 400 * 65_536 / 2
    assert len(first + rest) == 400 * 65_536


async def test_whoever_reads_slowly_gets_no_more_time_for_it() -> None:
    server = Server([CHUNKED, *[b"1\r\na\r\n"] * 1000], pause_seconds=0.005)
    async with serving(server) as asking, asking.get("/path", Patience(5, 0.3)) as reply:
        with pytest.raises(AnswerTooLong):
            for _ in range(100):
                await reply.some()
                await asyncio.sleep(0.02)
        assert server.said < 500 * len(b"1\r\na\r\n")


async def test_who_did_not_listen_for_a_while_does_not_use_it_again() -> None:
    server = Server([HEAD + b"content-length: 400000\r\n\r\n" + b"a" * 400_000], closes=True)
    async with serving(server) as asking:
        for _ in range(3):
            async with asking.get("/path", PATIENCE) as reply:
                await asyncio.sleep(0.05)
                assert len(await reply.all()) == 400_000
    assert server.met == 3


async def test_whoever_stops_while_it_connects_is_heard() -> None:
    async with serving(Server([WHOLE])) as asking:
        for wait in range(40):
            task = asyncio.ensure_future(all_of(asking))
            await asyncio.sleep(wait * 0.00005)
            if task.done():
                break
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            asking.close()
            asking._closed = False


async def test_one_that_comes_back_after_the_end_is_closed() -> None:
    server = Server([WHOLE])
    async with serving(server) as asking:
        async with asking.get("/path", PATIENCE) as reply:
            await reply.all()
            asking.close()
        await asyncio.sleep(0.05)
        assert server.left == 1


async def test_a_certificate_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = made_out_to("127.0.0.1", tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    server = Server([WHOLE])
    async with serving(server, tls) as asking:
        with pytest.raises(EngineAway, match="SSLCertVerificationError"):
            await all_of(asking)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with serving(server, tls) as asking:
        for _ in range(2):
            assert await all_of(asking) == (200, b"hi")
    assert server.met == 1
