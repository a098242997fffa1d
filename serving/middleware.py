"""The gateway inside vLLM's own server: `--middleware serving.vllm_plugin.Middleware`.

What is ours is answered here, with vLLM's app as the engine; all else goes on to vLLM.
"""

from collections.abc import KeysView
from contextlib import ExitStack
from dataclasses import replace

from starlette.types import ASGIApp, Receive, Scope, Send

from feedback.begin import settings_told
from serving.api import Parts, build, handlers
from serving.errors import ServingError
from serving.inside import Inside
from serving.keys import OneKey
from serving.limits import Patience
from serving.settings import Settings
from serving.wire import error_response, read_headers
from serving.wiring import wire

# For probes. The rest of vLLM's paths takes a key for admin where there are keys.
OPEN = ("/health", "/ping", "/version")


class Middleware:
    def __init__(self, app: ASGIApp, settings: Settings | None = None) -> None:
        self._vllm, self._settings = app, settings
        self._parts: Parts | None = None
        self._paths: KeysView[str] = {}.keys()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] in self._paths:
            await self._ours(scope, receive, send)
        elif refused := self._refused(scope):
            await _refuse(refused, scope, receive, send)
        else:
            await self._vllm(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        with ExitStack() as until_the_end:
            try:
                self._open(scope, until_the_end)
            except SystemExit:  # what is wrong was said
                await receive()
                await send({"type": "lifespan.startup.failed", "message": "see the line above"})
                return
            await self._vllm(scope, receive, send)

    def _open(self, scope: Scope, until_the_end: ExitStack) -> None:
        with settings_told("serving", Settings.model_fields):
            settings = self._settings or Settings()
            patience = Patience(settings.serving_silence_seconds, settings.serving_answer_seconds)
            key = settings.engine_key.get_secret_value() if settings.engine_key else None
            inside = Inside(self._vllm, scope, settings.name, patience=patience, key=key)
            # Who guarded vLLM with a key must not find it open because we are in front.
            own_key = OneKey("vllm", key) if key else None
            parts = wire(settings, [inside], until_the_end, own_key)
        self._parts = replace(parts, more_metrics=lambda: inside.get("/metrics"))
        self._ours, self._paths = build(self._parts), handlers(self._parts).keys()

    def _refused(self, scope: Scope) -> ServingError | None:
        if self._parts is None or scope["path"] in OPEN or scope.get("method") == "OPTIONS":
            return None  # a browser's first question bears no key, and vLLM asks it for none
        try:
            self._parts.door.caller(read_headers(scope), "admin")
        except ServingError as error:
            return error
        return None


async def _refuse(error: ServingError, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})  # against the policy
    else:
        await error_response(error)(scope, receive, send)
