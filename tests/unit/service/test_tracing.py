"""When traces are made, and what a failed request leaves in one."""

import pytest
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.types import Receive, Scope, Send

from model_service.telemetry.logs import LineLog
from model_service.telemetry.metrics import Metrics
from model_service.telemetry.requests import RequestLog
from model_service.telemetry.series import SharedSeries
from model_service.telemetry.tracing import Tracing, make_provider

ENDPOINT = "http://127.0.0.1:4318"


@pytest.mark.parametrize(
    ("environment", "on"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ENDPOINT}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": ENDPOINT}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ENDPOINT, "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, False),
    ],
)
def test_the_standard_variables_turn_traces_on_and_off(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], on: bool
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    provider = make_provider()
    assert (provider is not None) == on
    if provider is not None:
        assert provider.resource.attributes["service.name"] == "model-service"
        provider.shutdown()


def test_a_request_that_fails_unexpectedly_is_an_error_in_its_trace() -> None:
    async def explode(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("inside")

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    client = TestClient(RequestLog(Tracing(explode, provider), Metrics(SharedSeries(1), 0, [1.0]), LineLog("a")))
    assert client.get("/anything").status_code == 500
    (span,) = exporter.get_finished_spans()
    assert span.attributes is not None
    assert span.attributes["http.response.status_code"] == 500
    assert not span.status.is_ok
    assert span.events[0].name == "exception"
