"""A trace from the caller through queue and batch into the model, of every worker, and what a lost collector costs."""

import gzip
import http.server
import json
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import urllib3
from integration.service.held import Held
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from support.answering import in_thread
from support.bundles import write_bare
from support.estimators import Says
from support.service import Service

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
NOW = {"features": [0.0]}
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
Spans = list[tuple[Any, Any]]


class Collector(http.server.BaseHTTPRequestHandler):
    """Keeps every span it is sent over OTLP/HTTP, with its resource."""

    spans: Spans = []  # noqa: RUF012 - one collector a test

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                self.spans.extend((resource.resource, span) for span in scope.spans)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Stay silent."""


@pytest.fixture
def collector() -> Iterator[tuple[dict[str, str], Spans]]:
    """The variables that lead to a collector, and what it was sent."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    Collector.spans = []
    with in_thread(server):
        yield {ENDPOINT: f"http://127.0.0.1:{server.server_port}"}, Collector.spans


def attributes(of: Any) -> dict[str, Any]:
    return {item.key: item.value.string_value or item.value.int_value for item in of.attributes}


def ask(service: Service, **headers: str) -> Any:
    """Over a connection of its own, so that any worker may get it."""
    with urllib3.HTTPConnectionPool("127.0.0.1", service.port, retries=False, timeout=30) as connection:
        return connection.request("POST", "/predict", json=NOW, headers=headers)


def test_a_trace_goes_from_the_caller_through_the_batch_into_the_model(
    serve: Any, slow_root: Path, collector: tuple[dict[str, str], Spans]
) -> None:
    variables, spans = collector
    with serve(slow_root, variables) as service:
        response = ask(service, traceparent=f"00-{TRACE}-{PARENT}-01")
        service.request("GET", "/metrics")
        assert service.stop() == 0  # what is buffered is sent on the way out
    mine = {span.name: span for _, span in spans if span.trace_id.hex() == TRACE}
    assert set(mine) == {"POST /predict", "queue", "predict", "inside the model"}
    request = mine["POST /predict"]
    assert request.parent_span_id.hex() == PARENT
    assert response.headers["traceparent"] == f"00-{TRACE}-{request.span_id.hex()}-01"
    for name in ("queue", "predict"):
        assert mine[name].parent_span_id == request.span_id
        assert attributes(mine[name]) == {"model.name": "model", "model.version": "1"}
    assert mine["inside the model"].parent_span_id == mine["predict"].span_id
    assert attributes(request)["http.response.status_code"] == 200
    assert attributes(request)["http.route"] == "/predict"
    assert request.start_time_unix_nano <= mine["queue"].start_time_unix_nano
    assert mine["queue"].end_time_unix_nano <= mine["predict"].start_time_unix_nano + 1_000_000
    assert mine["predict"].end_time_unix_nano <= request.end_time_unix_nano + 1_000_000
    assert {attributes(resource)["service.name"] for resource, _ in spans} == {"model-service"}
    assert [line["trace_id"] for line in service.lines() if line.get("path") == "/predict"] == [TRACE]
    assert set(mine) == {span.name for _, span in spans}  # probes and scrapes make none


def test_the_requests_of_a_batch_are_linked_to_one_call(
    serve: Any, tmp_path: Path, collector: tuple[dict[str, str], Spans]
) -> None:
    variables, spans = collector
    write_bare(tmp_path / "models", Held(tmp_path / "free"))
    with serve(tmp_path / "models", variables) as service, ThreadPoolExecutor(8) as pool:
        busy = pool.submit(service.request, "POST", "/predict", json={"features": [1.0]})
        service.wait_metric(1, "model_requests_in_flight")
        waiting = [pool.submit(ask, service) for _ in range(5)]
        service.wait_metric(6, "model_requests_in_flight")
        (tmp_path / "free").touch()
        assert [future.result().status for future in [busy, *waiting]] == [200] * 6
        assert service.stop() == 0
    requests = {span.span_id for _, span in spans if span.name == "POST /predict"}
    calls: dict[bytes, set[bytes]] = {}
    for _, span in spans:
        if span.name == "predict":
            call = span.links[0].span_id if span.links else span.span_id
            calls.setdefault(call, set()).add(span.parent_span_id)
    assert sorted(map(len, calls.values())) == [1, 5]
    assert set.union(*calls.values()) == requests


def test_the_spans_of_every_worker_arrive(serve: Any, slow_root: Path, collector: tuple[dict[str, str], Spans]) -> None:
    variables, spans = collector
    with serve(slow_root, variables, WORKERS="3") as service, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(service), range(60)))
        assert {answer.status for answer in answers} == {200}
        assert service.stop() == 0
    told = {answer.headers["traceparent"].split("-")[2] for answer in answers}
    assert told == {span.span_id.hex() for _, span in spans if span.name == "POST /predict"}
    assert len(told) == 60
    assert len([span for _, span in spans if span.name == "inside the model"]) >= 3


def test_answers_lines_spans_and_metrics_say_which_version_it_was_and_why(
    serve: Any, tmp_path: Path, collector: tuple[dict[str, str], Spans]
) -> None:
    variables, spans = collector
    for number in (1, 2):
        write_bare(tmp_path / "models", Says(number), "says", str(number))
    traffic = {"default": "1", "weights": {"1": 50, "2": 50}, "sticky": {"header": "X-User"}}
    document = tmp_path / "traffic.json"
    document.write_text(json.dumps({"generation": 1, "models": {"says": traffic}}))
    expected: dict[str, tuple[str, str]] = {}
    with serve(tmp_path / "models", variables, MODEL_VERSION="1", TRAFFIC_FILE=str(document)) as service:
        for number in range(12):
            for way in ({}, {"x-request-timeout-ms": "20000"}):  # the second is no plain request
                answer = ask(service, **way, **{"x-user": str(number)})
                said = answer.json()["model_version"], answer.headers["x-model-variant"]
                expected[answer.headers["traceparent"].split("-")[2]] = said
        found = service.metrics()
        assert service.stop() == 0
    counted = Counter(expected.values())
    assert counted.keys() == {("1", "default"), ("2", "candidate")}
    for (version, variant), count in counted.items():
        assert found["model_request_duration_seconds_count", ("says", version, variant, "ok")] == count
    told = {span.span_id.hex(): attributes(span) for _, span in spans if span.name == "POST /predict"}
    assert {key: (each["model.version"], each["model.variant"]) for key, each in told.items()} == expected
    lines = [line for line in service.lines() if line.get("path") == "/predict"]
    assert Counter((line["model_version"], line["variant"]) for line in lines) == counted


@pytest.fixture(params=["gone", "silent"])
def lost(request: pytest.FixtureRequest, free_port: Callable[[], int]) -> Iterator[dict[str, str]]:
    """A collector that nobody listens for, and one that takes everything and says nothing."""
    if request.param == "gone":
        yield {ENDPOINT: f"http://127.0.0.1:{free_port()}"}
        return
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield {ENDPOINT: f"http://127.0.0.1:{listener.getsockname()[1]}"}


def test_a_lost_collector_costs_no_request_and_hardly_any_of_the_stop(
    serve: Any, slow_root: Path, lost: dict[str, str]
) -> None:
    variables = lost | {"OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_EXPORTER_OTLP_TIMEOUT": "60"}
    with serve(slow_root, variables) as service:
        for _ in range(30):
            started = time.monotonic()
            assert ask(service).status == 200
            assert time.monotonic() - started < 20, "who waits for the collector waits a minute"
        started = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - started < 25, "a worker that waits for the collector is killed after 35 s"
