"""An engine is ready when it has answered with every model that users may get."""

from collections.abc import Iterator

import pytest
from starlette.types import Receive, Scope, Send

from ops.running.probes import answers, engine_answers
from ops.running.program import NotReady
from tests.free import free_port
from tests.serving.scripted import ScriptedEngine
from tests.serving.servers import served

pytestmark = pytest.mark.anyio
MODELS = ("model", "model-v0")


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine(known=set(MODELS))


@pytest.fixture
def url(engine: ScriptedEngine) -> Iterator[str]:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        # Where a request has no id, vLLM makes one up; the script does not.
        scope["headers"] = [*scope.get("headers", ()), (b"x-request-id", b"1")]
        await engine.app()(scope, receive, send)

    with served(app) as url:
        yield url


async def test_an_engine_that_answers_with_base_and_adapter_is_ready(
    engine: ScriptedEngine, url: str
) -> None:
    await engine_answers(url, MODELS)()
    assert [body["model"] for body in engine.asked] == list(MODELS)
    assert all(body["logprobs"] and body["return_token_ids"] for body in engine.asked)


async def test_an_engine_that_does_not_know_the_adapter_is_not_ready(
    engine: ScriptedEngine, url: str
) -> None:
    engine.known.remove("model-v0")
    with pytest.raises(NotReady, match=r"\(model-v0\): answered 404, .*does not exist"):
        await engine_answers(url, MODELS)()
    assert [body["model"] for body in engine.asked] == list(MODELS)


async def test_an_engine_that_is_ill_is_not_even_asked(engine: ScriptedEngine, url: str) -> None:
    engine.healthy = False
    with pytest.raises(NotReady, match="/health: answered 503"):
        await engine_answers(url, MODELS)()
    assert engine.asked == []


async def test_where_nobody_listens_nothing_is_ready() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    for ready in (answers(f"{url}/readyz"), engine_answers(url, MODELS)):
        with pytest.raises(NotReady, match=f"{url}/.*: ConnectError"):
            await ready()
