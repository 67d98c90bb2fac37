"""Metrics that are sent: one worker's sendings tell the numbers of all, and each number once."""

import http.server
import re
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from support.bundles import Packed

from model_service.app import Place, create_app
from model_service.board import Board
from model_service.settings import Settings
from model_service.telemetry import push
from model_service.telemetry.series import SharedSeries

ROW = {"features": [5.1, 3.5, 1.4, 0.2]}
LINE = re.compile(r"(?P<name>[\w.]+):(?P<value>[-\d.e+]+)\|(?P<kind>[cg])(?:\|#(?P<tags>.*))?")


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that runs tests is busy, and the last sending is what is looked at."""
    monkeypatch.setattr(push, "LAST_SECONDS", 60.0)


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        yield listening


def lines(receiver: socket.socket) -> list[dict[str, str | None]]:
    """Every line that arrives before there is silence."""
    found, receiver_timeout = [], 30.0
    while True:
        receiver.settimeout(receiver_timeout)
        try:
            packet = receiver.recv(65536)
        except TimeoutError:
            return found
        assert len(packet) <= 1400
        for line in packet.decode().split("\n"):
            matched = LINE.fullmatch(line)
            assert matched, line
            found.append(matched.groupdict())
        receiver_timeout = 0.2


def value(sent: list[dict[str, str | None]], name: str, tags: str = "") -> float:
    return sum(float(line["value"] or 0) for line in sent if line["name"] == name and tags in (line["tags"] or ""))


def settings_for(packed: Packed, receiver: socket.socket) -> Settings:
    host, port = receiver.getsockname()
    return Settings(model_root=packed.root, statsd_address=f"{host}:{port}", statsd_seconds=3600)


def test_statsd_is_sent_what_was_added(iris_bundle: Packed, receiver: socket.socket) -> None:
    with TestClient(create_app(settings_for(iris_bundle, receiver))) as client:
        for _ in range(3):
            client.post("/predict", json=ROW)
        client.post("/predict", json={"features": []})
    sent = lines(receiver)
    assert value(sent, "model_request_duration_seconds.count", "outcome:ok") == 3
    assert value(sent, "model_request_duration_seconds.count", "outcome:invalid") == 1
    assert value(sent, "http_server_request_duration_seconds.count", "http_response_status_code:422") == 1
    assert value(sent, "model_ready", "model_name:iris,model_version:1") == 1
    assert value(sent, "service_workers", "state:live") == 1
    quantiles = [value(sent, f"model_request_duration_seconds.{name}", "outcome:ok") for name in ("p50", "p95", "p99")]
    assert quantiles == sorted(quantiles)
    assert quantiles[0] > 0


def test_the_next_worker_goes_on_where_the_last_one_ended(iris_bundle: Packed, receiver: socket.socket) -> None:
    board = Board(1)
    series, ledger = SharedSeries(len(board.slots)), SharedSeries(1)
    for requests in (2, 5):
        slot = board.claim()
        with TestClient(create_app(settings_for(iris_bundle, receiver), Place(board, series, ledger, slot))) as client:
            for _ in range(requests):
                client.post("/predict", json=ROW)
        board.release(slot)
        assert value(lines(receiver), "model_request_duration_seconds.count", "outcome:ok") == requests


def test_only_the_first_worker_sends(iris_bundle: Packed, receiver: socket.socket) -> None:
    board = Board(2)
    series, ledger = SharedSeries(len(board.slots)), SharedSeries(1)
    first, second = board.claim(), board.claim()
    settings = settings_for(iris_bundle, receiver)
    with TestClient(create_app(settings, Place(board, series, ledger, first))) as one:
        with TestClient(create_app(settings, Place(board, series, ledger, second))) as other:
            one.post("/predict", json=ROW)
            other.post("/predict", json=ROW)
        receiver.setblocking(False)
        with pytest.raises(BlockingIOError):
            receiver.recv(1)
    assert value(lines(receiver), "model_request_duration_seconds.count", "outcome:ok") == 2


@pytest.fixture
def collector() -> Iterator[tuple[str, list[Any]]]:
    """An OTLP endpoint, and what it was sent."""
    received: list[Any] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            received.append(ExportMetricsServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", received
    server.shutdown()
    server.server_close()
    thread.join()


def test_otlp_is_sent_the_totals_under_standard_names(
    iris_bundle: Packed, collector: tuple[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint, received = collector
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", f"{endpoint}/v1/metrics")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "otlp")
    with TestClient(create_app(Settings(model_root=iris_bundle.root))) as client:
        for _ in range(4):
            client.post("/predict", json=ROW)
    (resource,) = received[-1].resource_metrics
    attributes = {item.key: item.value.string_value for item in resource.resource.attributes}
    assert attributes["service.name"] == "model-service"
    metrics = {metric.name: metric for scope in resource.scope_metrics for metric in scope.metrics}
    (http_point,) = metrics["http.server.request.duration"].histogram.data_points
    assert {item.key: item.value.string_value for item in http_point.attributes} == {
        "http.request.method": "POST",
        "http.route": "/predict",
        "http.response.status_code": "200",
    }
    (point,) = metrics["model.request_duration"].histogram.data_points
    assert (point.count, sum(point.bucket_counts)) == (4, 4)
    assert point.start_time_unix_nano < point.time_unix_nano
    assert metrics["model.batches"].sum.is_monotonic
    assert metrics["model.ready"].gauge.data_points[0].as_double == 1


def test_a_receiver_that_is_gone_costs_one_log_line(
    iris_bundle: Packed, serve: Callable[..., TestClient], caplog: pytest.LogCaptureFixture
) -> None:
    with TestClient(
        create_app(Settings(model_root=iris_bundle.root, statsd_address="no.such.host.invalid:8125"))
    ) as client:
        assert client.post("/predict", json=ROW).status_code == 200
    assert [record.levelname for record in caplog.records if "metrics are not received" in record.message] == [
        "WARNING"
    ]
