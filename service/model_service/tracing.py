"""OpenTelemetry traces: a span a request, a span a model call, exported over OTLP/HTTP when an endpoint is configured.

Configuration is the standard `OTEL_*` environment, read by the SDK. Everything here is made after the fork, in the
worker: exporter threads do not survive one. Export happens in the background and is given up on, so that a collector
that is gone costs a request nothing.
"""

import logging
import os
import threading

from opentelemetry import context, propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from model_artifact import __version__
from model_service.telemetry import PROBES

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
PROTOCOL = "http/protobuf"
SWITCHES = {"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "none"}
"""Standard variables, and the value of each that turns traces off."""
FLUSH_SECONDS = 3.0
SERVICE_NAME = "model-service"

log = logging.getLogger(__name__)


def make_provider() -> TracerProvider | None:
    """The provider of this worker, or none where no collector is configured; a bad configuration turns traces off."""
    if _is_off():
        return None
    try:
        provider = TracerProvider(resource=_resource())
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    except ValueError as error:
        log.warning("traces are off: %s", error)
        return None
    return provider


def _is_off() -> bool:
    given = {name: os.environ.get(name, "").strip().lower() for name in (*ENDPOINTS, *PROTOCOLS, *SWITCHES)}
    protocol = next((given[name] for name in reversed(PROTOCOLS) if given[name]), PROTOCOL)
    if protocol != PROTOCOL:
        log.warning("traces are off: OTLP over %s is asked for and only %s is spoken", protocol, PROTOCOL)
    configured = any(given[name] for name in ENDPOINTS)
    return not configured or protocol != PROTOCOL or any(given[name] == off for name, off in SWITCHES.items())


def _resource() -> Resource:
    resource = Resource.create({"service.version": __version__})
    if str(resource.attributes["service.name"]).startswith("unknown_service"):
        return resource.merge(Resource({"service.name": SERVICE_NAME}))
    return resource


def shut_down(provider: TracerProvider) -> None:
    """Send what is left, for three seconds at most: a dead collector must not hold up the exit."""
    thread = threading.Thread(target=provider.shutdown, daemon=True)
    thread.start()
    thread.join(FLUSH_SECONDS)


class Tracing:
    """Continues the caller's trace (`traceparent`) and tells the log its id; probes make no spans."""

    def __init__(self, app: ASGIApp, tracer: trace.Tracer) -> None:
        self._app, self._tracer = app, tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request inside a server span."""
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        parent = propagate.extract(dict(Headers(scope=scope)))
        method = scope["method"]
        attributes = {"http.request.method": method, "url.path": scope["path"], "url.scheme": scope["scheme"]}
        span = self._tracer.start_span(method, parent, SpanKind.SERVER, attributes)
        if span.get_span_context().is_valid:
            scope["state"]["known"]["trace_id"] = trace.format_trace_id(span.get_span_context().trace_id)
        token = context.attach(trace.set_span_in_context(span))

        async def observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                _describe(span, scope, message["status"])
            await send(message)

        try:
            await self._app(scope, receive, observed)
        except Exception as error:
            span.record_exception(error)
            _describe(span, scope, 500)
            raise
        finally:
            context.detach(token)
            span.end()


def _describe(span: trace.Span, scope: Scope, status: int) -> None:
    route = getattr(scope.get("route"), "path", None)
    if route is not None:
        span.update_name(f"{scope['method']} {route}")
        span.set_attribute("http.route", route)
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        span.set_status(StatusCode.ERROR)
