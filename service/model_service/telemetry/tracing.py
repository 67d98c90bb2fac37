"""OpenTelemetry traces: a span a request, a span a model call, exported over OTLP/HTTP when an endpoint is configured.

Configuration is the standard `OTEL_*` environment, read by the SDK. Everything here is made after the fork, in the
worker: exporter threads do not survive one. Export happens in the background and is given up on, so that a collector
that is gone costs a request nothing.
"""

import logging
import os
import threading
import time
from collections.abc import Awaitable, Mapping

from opentelemetry import context, propagate, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, Sampler, TraceIdRatioBased
from opentelemetry.trace import Span, SpanContext, SpanKind, StatusCode
from starlette.types import ASGIApp, Receive, Scope, Send

from model_artifact import __version__
from model_service.telemetry.requests import PROBES, Exchange, exchange_of, route_of
from model_service.telemetry.spans import Finished, PacedExporter, Provider

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
PROTOCOL = "http/protobuf"
SWITCHES = {"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "none"}
"""Standard variables, and the value of each that turns traces off."""
DRAWN = "trace_id"
"""Where in a request's state the id of its trace is, when it was drawn before the request came here."""
METHOD = "http.request.method"
PATH = "url.path"
ROUTE = "http.route"
STATUS = "http.response.status_code"
FLUSH_SECONDS = 3.0
SERVICE_NAME = "model-service"

log = logging.getLogger(__name__)


def make_provider() -> Provider | None:
    """The provider of this worker, or none where no collector is configured; a bad configuration turns traces off.

    It is the process's own as well, so that spans that a model makes go with ours.
    """
    if _is_off():
        return None
    try:
        provider = Provider(BatchSpanProcessor(PacedExporter()), make_resource())
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


def shut_down(provider: Provider) -> None:
    """Send what is left, for three seconds at most: a dead collector must not hold up the exit."""
    thread = threading.Thread(target=provider.shutdown, daemon=True)
    thread.start()
    thread.join(FLUSH_SECONDS)


class Beginnings:
    """Says which requests begin a trace, and begins it.

    Attributes:
        provider: takes the spans; none where traces are off.
        continued_by: names of the headers that carry on a trace of the caller's.
    """

    def __init__(self, provider: Provider | None) -> None:
        self.provider = provider
        self._tracer = provider.get_tracer(__name__) if provider else trace.NoOpTracer()
        self._sampler = provider.sampler if provider else ALWAYS_OFF
        self._ratio = _ratio_of(self._sampler)
        self.continued_by = frozenset(name.encode() for name in propagate.get_global_textmap().fields)

    def draw(self) -> int | None:
        """Draw the id of a trace that would begin here and ask the sampler: a span that it drops is never made."""
        if self.provider is None:
            return None
        trace_id = self.provider.ids.generate_trace_id()
        if self._ratio is not None:
            return trace_id if trace_id & self._ratio.TRACE_ID_LIMIT < self._ratio.bound else None
        result = self._sampler.should_sample(None, trace_id, "", SpanKind.SERVER)
        return trace_id if result.decision is Decision.RECORD_AND_SAMPLE else None

    def span(self, about: Mapping[str, str], started: float, carrier: Mapping[str, str], drawn: int | None) -> Span:
        """Start a server span.

        Args:
            about: the request, as `about` writes it.
            started: when it arrived, by `time.perf_counter`.
            carrier: the headers that carry a trace on.
            drawn: the id of the trace, where it begins here.
        """
        if self.provider is not None:
            self.provider.ids.following = drawn
        start = time.time_ns() - int((time.perf_counter() - started) * 1e9)
        parent = propagate.extract(carrier)
        return self._tracer.start_span(about[METHOD], parent, SpanKind.SERVER, about, start_time=start)


def about(method: str, path: str, scheme: str | None) -> dict[str, str]:
    """A request as attributes of its span."""
    return {METHOD: method, PATH: path, "url.scheme": scheme or "http"}


def _ratio_of(sampler: Sampler) -> TraceIdRatioBased | None:
    """The part of the usual sampler that decides about new traces: asking it takes a twentieth of the time."""
    root = getattr(sampler, "_root", sampler)
    return root if isinstance(root, TraceIdRatioBased) else None


class Tracing:
    """Continues the caller's trace (`traceparent`), answers with it and tells the log its id; probes make no spans."""

    def __init__(self, app: ASGIApp, provider: Provider | None) -> None:
        self._app, self._beginnings = app, Beginnings(provider)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one request inside a server span."""
        exchange = exchange_of(scope)
        if exchange.path in PROBES:
            return self._app(scope, receive, send)
        drawn = None
        if self._beginnings.continued_by.isdisjoint(exchange.headers):
            drawn = scope["state"].get(DRAWN) or self._beginnings.draw()
            if drawn is None:
                return self._app(scope, receive, send)
        return self._traced(exchange, drawn, scope, receive, send)

    async def _traced(self, exchange: Exchange, drawn: int | None, scope: Scope, receive: Receive, send: Send) -> None:
        span = self._start(scope, exchange, drawn)
        token = context.attach(trace.set_span_in_context(span))
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            span.record_exception(error)
            raise
        finally:
            context.detach(token)
            end(span, exchange.method, exchange.route or route_of(scope), exchange.status or 500)

    def _start(self, scope: Scope, exchange: Exchange, drawn: int | None) -> Span:
        given = {name: exchange.headers.get(name) for name in self._beginnings.continued_by}
        carrier = {name.decode(): value.decode("latin-1") for name, value in given.items() if value is not None}
        request = about(exchange.method, exchange.path, scope["scheme"])
        span = self._beginnings.span(request, exchange.started, carrier, drawn)
        told = span.get_span_context()
        if told.is_valid:
            exchange.known["trace_id"] = trace.format_trace_id(told.trace_id)
            exchange.headers_out.append((b"traceparent", traceparent(told)))
        if span.is_recording():
            exchange.span = span
        return span


def traceparent(told: SpanContext) -> bytes:
    """What the answer tells of the trace, as the W3C Trace Context writes it."""
    return f"00-{told.trace_id:032x}-{told.span_id:016x}-{told.trace_flags:02x}".encode()


def finished(context: SpanContext, told: Mapping[str, str | int], started: float, status: int) -> Finished:
    """The server span of a request that began a trace and is answered.

    Args:
        context: of the span.
        told: the request, as `about` writes it, its path being its route, and what else is known.
        started: when it arrived, by `time.perf_counter`.
        status: of the answer.
    """
    name, attributes = f"{told[METHOD]} {told[PATH]}", {**told, ROUTE: told[PATH], STATUS: status}
    return Finished(name, context, None, started, time.perf_counter(), attributes, (), SpanKind.SERVER, status >= 500)


def end(span: Span, method: str, route: str | None, status: int) -> None:
    """End a server span, with what is known of the answer."""
    if span.is_recording():
        if route is not None:
            span.update_name(f"{method} {route}")
            span.set_attribute(ROUTE, route)
        span.set_attribute(STATUS, status)
        if status >= 500:
            span.set_status(StatusCode.ERROR)
    span.end()
