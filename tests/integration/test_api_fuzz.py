"""What the OpenAPI document allows, and what it forbids, asked over HTTP: no 500 comes of it.

What comes conforms to the document, and every answer can be remembered.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from schemathesis import BaseSchema, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.serving.gateway import gateway_app, settings_for
from tests.serving.scripted import ScriptedEngine
from tests.serving.servers import served

pytestmark = pytest.mark.integration
KEY = "a key for everything"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
POSTS = ("/v1/chat/completions", "/v1/completions", "/v1/feedback", "/v1/comparisons")
GETS = ("/v1/models", "/thumbwheel.js", "/healthz", "/readyz")
# Ten seconds for each of the posts: valid and not, with keys and without.
EXAMPLES = 100
SETTINGS = hypothesis.settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


class PickyEngine(ScriptedEngine):
    """As vLLM it answers 400 to what it cannot take."""

    async def _answer(self, request: Request, kind: Any) -> Response:
        body = await request.json()
        if not isinstance(body.get("n"), int | None) or not 0 < (body.get("n") or 1) < 5:
            return refused("n must be an integer of 1 to 4")
        if not isinstance(body.get("stream_options"), dict | None):
            return refused("stream_options must be an object")
        return await super()._answer(request, kind)


def refused(message: str) -> Response:
    error = {"message": message, "type": "BadRequestError", "param": None, "code": 400}
    return JSONResponse({"error": error}, 400)


@dataclass(frozen=True)
class Asked:
    """A gateway, what it says that may be asked, and the headers to ask with."""

    url: str
    document: BaseSchema
    headers: dict[str, str]

    def lost(self) -> str:
        page = httpx.get(f"{self.url}/metrics").text.splitlines()
        return next(x for x in page if x.startswith("thumbwheel_serving_completions_lost_total"))


@pytest.fixture(scope="module", params=["no keys", "keys", "keys, none shown"])
def asked(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Asked]:
    folder = tmp_path_factory.mktemp("fuzz")
    more: dict[str, Any] = {"serving_first_stable": "model-v1"}
    if request.param != "no keys":
        more["serving_keys"] = keys(folder)
    with ExitStack() as until_the_end:
        engine = until_the_end.enter_context(served(PickyEngine().app()))
        settings = settings_for(folder, engine, **more)
        url = until_the_end.enter_context(served(gateway_app(settings, until_the_end)))
        document = schemathesis.openapi.from_url(f"{url}/openapi.json")
        shown = {"authorization": f"Bearer {KEY}"} if request.param == "keys" else {}
        yield Asked(url, document, shown)


def keys(folder: Path) -> Path:
    path = folder / "keys.toml"
    path.write_text(f'[shop]\nsha256 = "{sha256(KEY.encode()).hexdigest()}"\nscopes = ["admin"]\n')
    return path


def test_all_that_may_be_asked_is_asked(asked: Asked) -> None:
    assert set(asked.document.raw_schema["paths"]) == {*POSTS, *GETS}


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("path", POSTS)
def test_whatever_is_posted_the_answer_is_as_the_document_says(
    asked: Asked, path: str, mode: GenerationMode
) -> None:
    statuses = ask(asked, asked.document[path]["POST"].as_strategy(mode))
    # Or it would show nothing.
    assert statuses, "nothing was asked"
    refusing = bool(statuses & {400, 401, 413, 422})
    accepting = bool(statuses & {200, 202})
    if mode.is_negative or is_locked(asked):
        assert refusing
    else:
        assert accepting
    assert asked.lost().endswith(" 0.0")


@pytest.mark.parametrize("path", GETS)
def test_whatever_is_read_is_as_the_document_says(asked: Asked, path: str) -> None:
    statuses = ask(asked, asked.document[path]["GET"].as_strategy())
    assert statuses == {401 if is_locked(asked) and path == "/v1/models" else 200}


def is_locked(asked: Asked) -> bool:
    return bool(httpx.get(f"{asked.url}/v1/models", headers=asked.headers).status_code == 401)


def ask(asked: Asked, cases: st.SearchStrategy[Case[Any]]) -> set[int]:
    """The statuses that came; raises where an answer is not as it must be."""
    statuses = set[int]()

    @SETTINGS
    @hypothesis.given(cases)
    def one(case: Case[Any]) -> None:
        answer = case.call(headers=asked.headers, session=session)
        statuses.add(answer.status_code)
        # It would hold each event against what the document says of the whole stream.
        streamed = answer.headers["content-type"][0].startswith("text/event-stream")
        case.validate_response(answer, checks=CHECKS[:-1] if streamed else CHECKS)

    with requests.Session() as session:
        one()
    return statuses
