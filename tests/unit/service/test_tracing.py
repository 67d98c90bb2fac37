"""When traces are made, and what a failed request leaves in one."""

import random

import pytest
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.types import Receive, Scope, Send

from model_service.telemetry.logs import LineLog
from model_service.telemetry.metrics import Metrics
from model_service.telemetry.requests import RequestLog, access_line, route_of
from model_service.telemetry.series import SharedSeries
from model_service.telemetry.spans import DrawnIds, Provider
from model_service.telemetry.tracing import Beginnings, Tracing, make_provider

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

    exporter = InMemorySpanExporter()
    provider = Provider(SimpleSpanProcessor(exporter))
    client = TestClient(
        RequestLog(Tracing(explode, provider), Metrics(SharedSeries(1), 0, [1.0]), LineLog("a", access_line), route_of)
    )
    assert client.get("/anything").status_code == 500
    (span,) = exporter.get_finished_spans()
    assert span.attributes is not None
    assert span.attributes["http.response.status_code"] == 500
    assert not span.status.is_ok
    assert span.events[0].name == "exception"


@pytest.mark.parametrize("name", ["traceidratio", "parentbased_traceidratio", "always_on", "always_off"])
def test_what_is_drawn_is_what_the_sampler_says(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", name)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.3")
    provider = Provider(SimpleSpanProcessor(InMemorySpanExporter()))
    drawn = []
    monkeypatch.setattr(DrawnIds, "generate_trace_id", lambda _: drawn.append(next(ids)) or drawn[-1])
    chance = random.Random(0)
    ids = iter([chance.getrandbits(128) for _ in range(1001)])
    beginnings = Beginnings(provider)
    found = [beginnings.draw() for _ in range(1001)]
    wanted = [provider.sampler.should_sample(None, trace_id, "").decision.is_sampled() for trace_id in drawn]
    assert [trace_id is not None for trace_id in found] == wanted
    assert (True in wanted, False in wanted) == (name != "always_off", name != "always_on")
