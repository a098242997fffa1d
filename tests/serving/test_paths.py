"""What finds its handler, what does not, and what becomes of errors."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from serving.errors import UnknownModel
from serving.paths import Handler, Paths, replying
from serving.wire import read_headers

pytestmark = pytest.mark.anyio


async def fine(headers: Mapping[str, str], _: Receive) -> Response:
    return Response(headers.get("x-said", "fine"))


async def refuses(_: Mapping[str, str], __: Receive) -> Response:
    raise UnknownModel("no such model", "model")


async def breaks(_: Mapping[str, str], __: Receive) -> Response:
    raise RuntimeError("a secret word")


async def breaks_off(_: Scope, __: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise UnknownModel("too late")


async def closed() -> None:
    return


PATHS = Paths(
    {
        "/fine": replying("GET", fine),
        "/refuses": replying("POST", refuses),
        "/breaks": replying("POST", breaks),
        "/breaks-off": Handler("POST", breaks_off),
    },
    closed,
)


async def asked(method: str, path: str, **more: Any) -> httpx.Response:
    transport = httpx.ASGITransport(PATHS, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://it") as http:
        return await http.request(method, path, **more)


async def test_a_handler_hears_the_headers_in_lower_case() -> None:
    assert (await asked("GET", "/fine", headers={"X-Said": "hello"})).text == "hello"
    assert (await asked("HEAD", "/fine")).status_code == 200


@pytest.mark.parametrize("path", ["/nothing", "/fine/", "/"])
async def test_a_path_that_there_is_not_is_a_404_that_names_it(path: str) -> None:
    answer = await asked("GET", path)
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", 404)
    assert repr(path) in error["message"]


async def test_another_method_is_a_405_that_tells_the_right_one() -> None:
    answer = await asked("DELETE", "/refuses")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["error"]["message"] == "/refuses takes no DELETE"
    assert (await asked("HEAD", "/refuses")).status_code == 405


async def test_a_refusal_is_told_in_its_own_words() -> None:
    answer = await asked("POST", "/refuses")
    assert (answer.status_code, answer.json()["error"]["param"]) == (404, "model")


async def test_our_own_fault_is_a_500_that_tells_nothing_and_is_left_to_the_server() -> None:
    answer = await asked("POST", "/breaks")
    assert (answer.status_code, "secret" in answer.text) == (500, False)
    with pytest.raises(RuntimeError):
        await called("/breaks")


async def test_an_error_behind_the_first_word_is_no_second_response() -> None:
    assert [one["type"] for one in await called("/breaks-off")] == ["http.response.start"]


async def test_a_socket_is_closed() -> None:
    assert await called("/fine", type="websocket") == [{"type": "websocket.close", "code": 1000}]


async def called(path: str, type: str = "http") -> list[Message]:
    """What is said to a server."""
    said: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        said.append(message)

    scope = {"type": type, "path": path, "method": "POST", "headers": []}
    await PATHS(scope, receive, send)
    return said


def test_of_headers_that_come_twice_the_first_holds() -> None:
    raw = [(b"authorization", b"Bearer a"), (b"authorization", b"Bearer b"), (b"x", b"\xe9")]
    assert read_headers({"headers": raw}) == {"authorization": "Bearer a", "x": "é"}
