"""What a scrape holds: every metric of the table, well formed, and each request under what became of it."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from support.batching import samples
from support.bundles import Packed

from model_service.app import Place, create_app
from model_service.board import Board
from model_service.settings import Settings
from model_service.telemetry.metrics import METRICS, OUTCOMES, ROW_BUCKETS, Metrics, decode_key, encode_key
from model_service.telemetry.series import SharedSeries

ROW = {"features": [5.1, 3.5, 1.4, 0.2]}
HTTP, MODEL = "http_server_request_duration_seconds_count", "model_request_duration_seconds_count"
RESERVED = {"le", "quantile", "job", "instance"}


def scrape(client: TestClient) -> dict[tuple[str, tuple[str, ...]], float]:
    return samples(client.get("/metrics").text)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_is_named_as_prometheus_wants(metric: Any) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*[a-z0-9]", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert not metric.name.endswith(("_count", "_sum", "_bucket", "_created", "_info", "_milliseconds", "_ms"))
    assert metric.help.endswith(".")
    assert not RESERVED.intersection(metric.labels)
    assert len(set(metric.labels)) == len(metric.labels)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", label) for label in metric.labels)
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert metric.combine == "sum" or metric.kind == "gauge"
    assert decode_key(encode_key(metric.name, metric.labels)) == (metric, metric.labels)


def test_every_metric_is_read_back_by_a_parser() -> None:
    board = Board(1)
    series, strange = SharedSeries(len(board.slots)), 'a "quoted" \\ value\nof two lines, größe'
    place = Place(board, series, SharedSeries(1), board.claim())
    metrics = Metrics(series, place.slot, (0.1, 1.0))
    told = [metric for metric in METRICS if metric.combine != "shift"]  # which takes many predictions
    for metric in told:
        labels = [strange] * len(metric.labels)
        if metric.kind == "histogram":
            metrics.histogram(metric.name, *labels).observe(0.5)
        else:
            metrics.counter(metric.name, *labels).add(2)
    client = TestClient(create_app(Settings(latency_buckets=(0.1, 1.0)), place))
    families = {family.name: family for family in text_string_to_metric_families(client.get("/metrics").text)}
    for metric in told:
        family = families[metric.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (metric.kind, metric.help)
        assert {sample.labels.get(label) for sample in family.samples for label in metric.labels} <= {strange}
    assert set(families) - {metric.name.removesuffix("_total") for metric in METRICS} == {
        "service_workers", "service_info",
    }  # fmt: skip


def test_openmetrics_is_spoken_to_those_who_ask(client: TestClient) -> None:
    client.post("/predict", json=ROW)
    asked = client.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert asked.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    families = {family.name for family in openmetrics.text_string_to_metric_families(asked.text)}
    assert {"http_server_request_duration_seconds", "model_batches"} <= families
    assert client.get("/metrics").headers["content-type"].startswith("text/plain; version=")


def test_each_request_is_counted_under_what_became_of_it(client: TestClient) -> None:
    for body, times in ((ROW, 3), ({"features": []}, 2)):
        for _ in range(times):
            client.post("/predict", json=body)
    client.post("/predict/batch", json={"requests": [ROW] * 7})
    client.post("/predict", json=ROW, headers={"x-request-timeout-ms": "0"})
    client.post("/models/other/predict", json=ROW)
    client.post("/models/iris/versions/1/predict", json=ROW)
    found = scrape(client)
    by_route = {labels: value for (name, labels), value in found.items() if name == HTTP}
    assert by_route == {
        ("POST", "/predict", "200"): 3,
        ("POST", "/predict", "422"): 2,
        ("POST", "/predict", "504"): 1,
        ("POST", "/predict/batch", "200"): 1,
        ("POST", "/models/{name}/predict", "404"): 1,
        ("POST", "/models/{name}/versions/{version}/predict", "200"): 1,
    }
    by_outcome = {labels: value for (name, labels), value in found.items() if name == MODEL}
    assert by_outcome == {
        ("iris", "1", "default", "ok"): 4, ("iris", "1", "named", "ok"): 1, ("iris", "1", "default", "invalid"): 2,
        ("iris", "1", "default", "deadline"): 1, ("", "", "", "failed"): 1,
    }  # fmt: skip
    assert {outcome for *_, outcome in by_outcome} <= set(OUTCOMES)
    assert found["model_batch_rows_sum", ("iris", "1")] == 3 + 7 + 1
    assert found["model_compute_input_duration_seconds_count", ("iris", "1")] == 5 + 1
    assert found["model_compute_output_duration_seconds_count", ("iris", "1")] == 5
    assert found["model_requests_in_flight", ()] == 0
    assert found["model_ready", ("iris", "1")] == 1
    assert found["model_load_duration_seconds", ("iris", "1")] > 0


def test_probes_and_scrapes_are_not_counted(client: TestClient) -> None:
    for path in ("/health", "/health/live", "/metrics") * 3:
        assert client.get(path).status_code == 200
    assert not [labels for name, labels in scrape(client) if name == HTTP]


def test_clients_cannot_make_labels(client: TestClient) -> None:
    for number in range(20):
        client.request(f"METHOD{number}", f"/path/{number}")
        client.post(f"/models/m{number}/versions/{number}/predict", json=ROW)
        client.get(f"/predict/{number}")
    counted = {labels: value for (name, labels), value in scrape(client).items() if name == HTTP}
    assert counted == {
        ("_OTHER", "unmatched", "404"): 20,
        ("GET", "unmatched", "404"): 20,
        ("POST", "/models/{name}/versions/{version}/predict", "404"): 20,
    }


def test_the_buckets_of_latencies_are_a_setting_and_those_of_rows_are_not(
    serve: Callable[..., TestClient], iris_bundle: Packed
) -> None:
    client = serve(iris_bundle, latency_buckets=(0.25, 60.0))
    client.post("/predict", json=ROW)
    bounds: dict[str, list[float]] = {}
    for name, labels in scrape(client):
        if name.endswith("_bucket"):
            bounds.setdefault(name.removesuffix("_bucket"), []).append(float(labels[-1]))
    rows = bounds.pop("model_batch_rows")
    assert bounds.pop("model_prediction_score") == [*(tenth / 10 for tenth in range(1, 10)), float("inf")]
    assert rows == [*ROW_BUCKETS, float("inf")]
    assert len(bounds) == 6
    assert all(found == [0.25, 60.0, float("inf")] for found in bounds.values())


def test_workers_are_told_as_configured_and_live(iris_bundle: Packed) -> None:
    board = Board(3)
    place = Place(board, SharedSeries(len(board.slots)), SharedSeries(1), board.claim())
    with TestClient(create_app(Settings(model_root=iris_bundle.root), place)) as client:
        found = scrape(client)
    assert found["service_workers", ("configured",)] == 3
    assert found["service_workers", ("live",)] == 1
