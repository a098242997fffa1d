"""A real collector, which takes OTLP over HTTP, and a gateway that tells it of its answers."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from feedback.log import open_log
from serving.middleware import Middleware
from tests.serving.gateway import Gateway, gateway_app, settings_for, split
from tests.serving.scripted import ScriptedEngine
from tests.serving.servers import served


@dataclass
class Collector:
    raw: list[bytes] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        assert (request.method, request.url.path) == ("POST", "/v1/traces")
        self.raw.append(await request.body())
        await Response()(scope, receive, send)

    @property
    def told(self) -> list[ResourceSpans]:
        requests = [ExportTraceServiceRequest.FromString(raw) for raw in self.raw]
        return [resource for request in requests for resource in request.resource_spans]

    @property
    def spans(self) -> list[Span]:
        return [span for one in self.told for scope in one.scope_spans for span in scope.spans]


@dataclass
class Overheard:
    """An engine, and the headers that it was sent."""

    app: ASGIApp
    headers: list[dict[str, str]] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            self.headers.append(dict(Request(scope).headers))
        await self.app(scope, receive, send)


@dataclass
class Traced:
    """What spans there are is seen once the gateway has ended, and so flushed them."""

    collector: Collector
    opened: Callable[[], AbstractContextManager[Gateway]]
    engine: Overheard

    def spans_of(self, act: Callable[[Gateway], object]) -> list[Span]:
        with self.opened() as gateway:
            act(gateway)
        return self.collector.spans

    def span_of(self, act: Callable[[Gateway], object]) -> Span:
        (span,) = self.spans_of(act)
        return span


@contextmanager
def watched(place: str, folder: Path) -> Iterator[Traced]:
    """`place` is where the gateway is: before the engine's server, or inside it."""
    actor, collector = ScriptedEngine(), Collector()
    engine = Overheard(actor.app())

    @contextmanager
    def opened() -> Iterator[Gateway]:
        with served(engine) as url, ExitStack() as until_the_end:
            settings = settings_for(folder, url, serving_traces=f"{collector_url}/v1/traces")
            log = until_the_end.enter_context(closing(open_log(settings.log)))
            app: ASGIApp = Middleware(engine, settings)
            if place == "before":
                app = gateway_app(settings, until_the_end)
            with served(app) as here, httpx.Client(base_url=here, timeout=10) as http:
                gateway = Gateway(here, actor, log, http)
                gateway.decide(split())
                yield gateway

    with served(collector) as collector_url:
        yield Traced(collector, opened, engine)


def attributes(span: Span) -> dict[str, Any]:
    return {one.key: _plain(one.value) for one in span.attributes}


def _plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    assert kind is not None
    if kind == "array_value":
        return [_plain(one) for one in value.array_value.values]
    return getattr(value, kind)
