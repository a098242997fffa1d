"""The control API: what stands and why, for people and programs; what they may do about it.

Whoever changes anything must know the key. Alertmanager is one of them.
"""

from asyncio import get_running_loop
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hmac import compare_digest
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from feedback.events import first_complaint
from feedback.examples import BadExamples
from feedback.log import Log, LogAway
from ops import by_hand, quarantine
from ops.act import SplitContended
from ops.alarm import LABEL, Notification, heed
from ops.by_hand import NothingToDo, TakenBack
from ops.why import Unknown, state, story
from serving.split import Split
from trainer.adapters import AdapterError

_MAX_BODY_BYTES = 1_000_000
B = TypeVar("B", bound=BaseModel)
Why = Annotated[str, Field(max_length=1000)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")
    reason: Why = ""
    by: Annotated[str, Field(max_length=100)] = ""  # who asks, for the record


class _RollBack(_Body):
    to: str | None = None
    revision: int | None = None  # only while this one is in force
    quarantine: list[str] = []


class _Promote(_Body):
    canary: str | None = None


@dataclass(frozen=True)
class Place:
    """Where the loop lies."""

    log: Log
    examples: Path
    adapters: Path
    key: str | None  # without one nobody may change anything
    alert_reach_seconds: float


class Refused(Exception):
    def __init__(self, status: HTTPStatus, told: str) -> None:
        super().__init__(told)
        self.status = status


def build(place: Place) -> Starlette:
    api = _Api(place)
    told = [
        Route("/healthz", lambda _: PlainTextResponse("ok")),
        Route("/v1/state", api.told(lambda _: state(place.log, place.adapters))),
        Route("/v1/adapters/{name}", api.told(api.story)),
    ]
    done = [
        Route("/v1/rollback", api.done(_RollBack, api.roll_back), methods=["POST"]),
        Route("/v1/promote", api.done(_Promote, api.promote), methods=["POST"]),
        Route("/v1/pause", api.done(_Body, api.pause), methods=["POST"]),
        Route("/v1/resume", api.done(_Body, api.resume), methods=["POST"]),
        Route("/v1/alerts", api.done(Notification, api.heed), methods=["POST"]),
    ]
    return Starlette(routes=[*told, *done])


class _Api:
    def __init__(self, place: Place) -> None:
        self._place = place
        # One after the other: a log has a connection for each thread that asks it. Who acts does
        # not wait for those who look.
        self._looking = ThreadPoolExecutor(1, "control API, looking")
        self._acting = ThreadPoolExecutor(1, "control API, acting")

    def told(self, ask: Callable[[Request], Any]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            return await _answered(self._looking, lambda: ask(request))

        return answer

    def done(self, kind: type[B], act: Callable[[B], Any]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            try:
                self._let_in(request)
                body = await _read(request, kind)
            except Refused as error:
                return _refusal(error.status, str(error))
            return await _answered(self._acting, lambda: act(body))

        return answer

    def story(self, request: Request) -> dict[str, Any]:
        name = request.path_params["name"]
        return story(self._place.log, self._place.adapters, name).model_dump(mode="json")

    def roll_back(self, body: _RollBack) -> dict[str, Any]:
        place, by = self._place, _by(body)
        why = body.reason or by_hand.ROLLED_BACK
        try:
            split = by_hand.roll_back(
                place.log, place.adapters, by, body.to, why, revision=body.revision
            )
        except TakenBack as error:  # asked again, after it failed midway
            told = f"; {self._void(body, by, why)}" if body.quarantine else ""
            raise TakenBack(f"{error}{told}") from error
        return _told(split) | self._void(body, by, why)

    def _void(self, body: _RollBack, by: str, why: str) -> dict[str, Any]:
        place = self._place
        try:
            found = quarantine.void(place.log, place.examples, body.quarantine, by=by, reason=why)
        except BadExamples as error:  # the split has moved all the same
            return {"quarantined": {}, "error": str(error)}
        return {"quarantined": found}

    def promote(self, body: _Promote) -> dict[str, Any]:
        place = self._place
        split = by_hand.promote(place.log, place.adapters, _by(body), body.canary, body.reason)
        return _told(split)

    def pause(self, body: _Body) -> dict[str, Any]:
        return _told(by_hand.pause(self._place.log, _by(body), body.reason))

    def resume(self, body: _Body) -> dict[str, Any]:
        return _told(by_hand.resume(self._place.log, _by(body), body.reason))

    def heed(self, body: Notification) -> dict[str, Any]:
        """Each alert by itself: told again, it changes nothing, and that is no error."""
        told = list[str]()
        for alert in body.alerts:
            if not alert.asks:
                told.append(f"left alone: {alert.status}, {LABEL} is {alert.labels.get(LABEL)}")
                continue
            try:
                place = self._place
                split = heed(place.log, place.adapters, alert, place.alert_reach_seconds)
                told.append(f"revision {split.revision}: {split.reason}")
            except (NothingToDo, AdapterError) as error:
                told.append(f"nothing is done: {error}")
        return {"alerts": told}

    def _let_in(self, request: Request) -> None:
        key = self._place.key
        if key is None:
            raise Refused(
                HTTPStatus.FORBIDDEN,
                "nobody may change anything here: THUMBWHEEL_OPS_KEY is not set",
            )
        told = request.headers.get("authorization", "")
        if not compare_digest(told.encode(), f"Bearer {key}".encode()):
            raise Refused(
                HTTPStatus.UNAUTHORIZED, "expected the header authorization: Bearer OPS_KEY"
            )


async def _answered(on: ThreadPoolExecutor, ask: Callable[[], Any]) -> Response:
    try:
        return JSONResponse(await get_running_loop().run_in_executor(on, ask))
    except Unknown as error:
        return _refusal(HTTPStatus.NOT_FOUND, str(error))
    except (NothingToDo, SplitContended, AdapterError) as error:
        return _refusal(HTTPStatus.CONFLICT, str(error))
    except LogAway as error:
        return _refusal(HTTPStatus.SERVICE_UNAVAILABLE, str(error))


async def _read(request: Request, kind: type[B]) -> B:
    raw = b""
    async for part in request.stream():
        raw += part
        if len(raw) > _MAX_BODY_BYTES:
            raise Refused(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected at most {_MAX_BODY_BYTES:,} bytes"
            )
    try:
        return kind.model_validate_json(raw or b"{}")
    except ValidationError as error:
        raise Refused(HTTPStatus.BAD_REQUEST, first_complaint(error)) from error


def _refusal(status: HTTPStatus, told: str) -> Response:
    return JSONResponse({"error": told}, status)


def _told(split: Split) -> dict[str, Any]:
    return split.model_dump(mode="json")


def _by(body: _Body) -> str:
    return f"{body.by} (control API)" if body.by else "control API"
