"""What an operator may watch of each answer: one OpenTelemetry span, for a collector elsewhere.

The only file that knows OpenTelemetry. A span holds no word of a prompt or an answer, and no user.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from feedback.events import BASE
from serving.apis import CHAT
from serving.ask import MAX_ID_LENGTH, Ask
from serving.turn import Turn

EXPORT_SECONDS = 3.0  # for a batch to reach the collector
FLUSH_SECONDS = 3.0  # for what still waits when the process ends
MOST_STOPS = 16
# The caller's own doing: an answer that failed of these is no trouble of the server's.
THEIRS = ("client_closed", "refused", "unknown_model")
_KINDS = {  # what a request may hold, and as which number a span has it
    "temperature": ("gen_ai.request.temperature", float),
    "top_p": ("gen_ai.request.top_p", float),
    "top_k": ("gen_ai.request.top_k", float),
    "frequency_penalty": ("gen_ai.request.frequency_penalty", float),
    "presence_penalty": ("gen_ai.request.presence_penalty", float),
    "max_tokens": ("gen_ai.request.max_tokens", int),
    "max_completion_tokens": ("gen_ai.request.max_tokens", int),
    "seed": ("gen_ai.request.seed", int),
    "n": ("gen_ai.request.choice.count", int),
}
Attributes = dict[str, Any]


class Traces:
    """Spans wait in a bounded queue, and a thread sends them: no request waits for a collector."""

    def __init__(self, endpoint: str, name: str) -> None:
        """`name` is what the engine calls the model with no adapter."""
        self._name, self._carried = name, TraceContextTextMapPropagator()
        self._exporter = OTLPSpanExporter(endpoint, timeout=EXPORT_SECONDS)
        # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES go before.
        resource = Resource({"service.name": "thumbwheel"}).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("thumbwheel")

    @contextmanager
    def of(self, turn: Turn) -> Iterator[None]:
        """A span from now to the end of the answer; the engine is told that it is within it."""
        parent = self._carried.extract(turn.ask.headers)
        operation = "chat" if turn.ask.api is CHAT else "text_completion"
        asked = {"gen_ai.operation.name": operation, "gen_ai.provider.name": "vllm"}
        span = self._tracer.start_span(
            operation, parent, SpanKind.SERVER, attributes=asked | _asked(turn.ask)
        )
        headers: dict[str, str] = {}
        self._carried.inject(headers, set_span_in_context(span, parent))
        turn.headers = tuple(headers.items())
        try:
            yield
        finally:
            if span.is_recording():
                self._end(span, operation, turn)
            span.end()

    def close(self) -> None:
        """What still waits is sent. A collector that is away holds nobody up for long."""
        enough = Timer(FLUSH_SECONDS, self._exporter.shutdown)
        enough.start()
        self._provider.shutdown()
        enough.cancel()

    def _end(self, span: Span, operation: str, turn: Turn) -> None:
        if turn.chosen:  # before that nobody knows whether there is such a model
            span.update_name(f"{operation} {turn.ask.model}")
        span.set_attributes(_known(_answered(turn, self._name)))
        if turn.outcome != "ok":
            # Not the error's words: they may quote the request.
            span.set_attribute("error.type", turn.outcome)
            if turn.outcome not in THEIRS:
                span.set_status(StatusCode.ERROR)


def _asked(ask: Ask) -> Attributes:
    found = {
        attribute: _number(ask.body[name], kind)
        for name, (attribute, kind) in _KINDS.items()
        if name in ask.body
    }
    if found.get("gen_ai.request.choice.count") == 1:
        del found["gen_ai.request.choice.count"]
    model, stop = ask.model, ask.body.get("stop")
    return _known(
        found
        | {
            "gen_ai.request.model": model[:MAX_ID_LENGTH] if isinstance(model, str) else None,
            "gen_ai.request.stream": ask.streams or None,
            "gen_ai.request.stop_sequences": _texts([stop] if isinstance(stop, str) else stop),
            "gen_ai.conversation.id": ask.conversation,
            "thumbwheel.app": ask.app,
        }
    )


def _answered(turn: Turn, name: str) -> Attributes:
    if turn.chosen is None:
        return {}
    adapter, revision = turn.chosen
    chosen = {"thumbwheel.adapter": adapter, "thumbwheel.split_revision": revision}
    if not turn.answered:
        return chosen
    tokens = turn.tokens
    return chosen | {
        "gen_ai.response.id": turn.id,
        "gen_ai.response.model": name if adapter == BASE else adapter,
        "gen_ai.response.finish_reasons": turn.finish_reasons or None,
        "gen_ai.response.time_to_first_chunk": turn.first_seconds if turn.ask.streams else None,
        # With `echo` the engine tells no ids, and nobody counts.
        "gen_ai.usage.input_tokens": tokens["prompt"] or None,
        "gen_ai.usage.output_tokens": tokens["answer"] or None,
    }


def _number(value: object, kind: type[int] | type[float]) -> int | float | None:
    # OTLP has no larger integers, and Python no floats of some.
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**63:
        return kind(value)
    return None


def _texts(value: object) -> list[str] | None:
    if not isinstance(value, list):
        return None
    return [one[:MAX_ID_LENGTH] for one in value[:MOST_STOPS] if isinstance(one, str)] or None


def _known(found: Attributes) -> Attributes:
    return {name: value for name, value in found.items() if value is not None}
