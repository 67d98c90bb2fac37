"""OpenTelemetry traces: a span a request, a span a model call, exported over OTLP/HTTP when an endpoint is configured.

Configuration is the standard `OTEL_*` environment, read by the SDK. Everything here is made after the fork, in the
worker: exporter threads do not survive one. Export happens in the background and is given up on, so that a collector
that is gone costs a request nothing.
"""

import logging
import os
import threading
from collections.abc import Awaitable

from opentelemetry import context, propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision
from opentelemetry.trace import SpanKind, StatusCode
from starlette.types import ASGIApp, Receive, Scope, Send

from model_artifact import __version__
from model_service.telemetry.requests import PROBES, Exchange, exchange_of, route_of

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
PROTOCOL = "http/protobuf"
SWITCHES = {"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "none"}
"""Standard variables, and the value of each that turns traces off."""
FLUSH_SECONDS = 3.0
SERVICE_NAME = "model-service"

log = logging.getLogger(__name__)


def make_provider() -> TracerProvider | None:
    """The provider of this worker, or none where no collector is configured; a bad configuration turns traces off.

    It is the process's own as well, so that spans that a model makes go with ours.
    """
    if _is_off():
        return None
    try:
        provider = TracerProvider(resource=make_resource(), id_generator=DrawnIds())
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    except ValueError as error:
        log.warning("traces are off: %s", error)
        return None
    trace.set_tracer_provider(provider)
    return provider


def _is_off() -> bool:
    given = {name: os.environ.get(name, "").strip().lower() for name in (*ENDPOINTS, *PROTOCOLS, *SWITCHES)}
    protocol = next((given[name] for name in reversed(PROTOCOLS) if given[name]), PROTOCOL)
    if protocol != PROTOCOL:
        log.warning("traces are off: OTLP over %s is asked for and only %s is spoken", protocol, PROTOCOL)
    configured = any(given[name] for name in ENDPOINTS)
    return not configured or protocol != PROTOCOL or any(given[name] == off for name, off in SWITCHES.items())


def make_resource() -> Resource:
    """What every span and metric is labelled with: the environment's attributes, name and version."""
    resource = Resource.create({"service.version": __version__})
    if str(resource.attributes["service.name"]).startswith("unknown_service"):
        return resource.merge(Resource({"service.name": SERVICE_NAME}))
    return resource


def shut_down(provider: TracerProvider) -> None:
    """Send what is left, for three seconds at most: a dead collector must not hold up the exit."""
    thread = threading.Thread(target=provider.shutdown, daemon=True)
    thread.start()
    thread.join(FLUSH_SECONDS)


class DrawnIds(RandomIdGenerator):
    """Gives the next trace the id that was drawn for it, so that what was decided about it holds."""

    _next: int | None = None

    def draw(self) -> int:
        """The id of the next trace."""
        self._next = super().generate_trace_id()
        return self._next

    def generate_trace_id(self) -> int:
        """The id that was drawn, once; else a new one."""
        drawn, self._next = self._next, None
        return drawn if drawn is not None else super().generate_trace_id()


class Tracing:
    """Continues the caller's trace (`traceparent`), answers with it and tells the log its id; probes make no spans."""

    def __init__(self, app: ASGIApp, provider: TracerProvider | None) -> None:
        self._app = app
        self._tracer = provider.get_tracer(__name__) if provider else trace.NoOpTracer()
        self._sampler = provider.sampler if provider else ALWAYS_OFF
        self._ids = provider.id_generator if provider else None
        self._continued_by = frozenset(name.encode() for name in propagate.get_global_textmap().fields)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one request inside a server span."""
        exchange = exchange_of(scope)
        begins_here = self._continued_by.isdisjoint(exchange.headers)
        if exchange.path in PROBES or (begins_here and not self._sampled()):
            return self._app(scope, receive, send)
        return self._traced(exchange, scope, receive, send)

    def _sampled(self) -> bool:
        """Draw the id of a trace that would begin here and ask the sampler: a span that it drops is never made."""
        if not isinstance(self._ids, DrawnIds):
            return self._ids is not None
        result = self._sampler.should_sample(None, self._ids.draw(), "", SpanKind.SERVER)
        return result.decision is Decision.RECORD_AND_SAMPLE

    async def _traced(self, exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        span = self._start(scope, exchange)
        token = context.attach(trace.set_span_in_context(span))
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            span.record_exception(error)
            raise
        finally:
            context.detach(token)
            _describe(span, exchange, scope)
            span.end()

    def _start(self, scope: Scope, exchange: Exchange) -> trace.Span:
        given = {name: exchange.headers.get(name) for name in self._continued_by}
        carrier = {name.decode(): value.decode("latin-1") for name, value in given.items() if value is not None}
        attributes = {"http.request.method": exchange.method, "url.path": exchange.path, "url.scheme": scope["scheme"]}
        span = self._tracer.start_span(exchange.method, propagate.extract(carrier), SpanKind.SERVER, attributes)
        told = span.get_span_context()
        if told.is_valid:
            exchange.known["trace_id"] = trace.format_trace_id(told.trace_id)
            exchange.headers_out.append((b"traceparent", _traceparent(told)))
        if span.is_recording():
            exchange.span = span
        return span


def _traceparent(told: trace.SpanContext) -> bytes:
    return f"00-{told.trace_id:032x}-{told.span_id:016x}-{told.trace_flags:02x}".encode()


def _describe(span: trace.Span, exchange: Exchange, scope: Scope) -> None:
    if not span.is_recording():
        return
    route = exchange.route or route_of(scope)
    if route is not None:
        span.update_name(f"{exchange.method} {route}")
        span.set_attribute("http.route", route)
    status = exchange.status or 500
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        span.set_status(StatusCode.ERROR)
