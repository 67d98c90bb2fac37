"""Metrics over OTLP/HTTP, for sites whose collector is pushed to: `OTEL_METRICS_EXPORTER=otlp` turns them on.

Sums and histograms are cumulative since the start of the supervisor, so that the worker that happens to send them does
not matter.
"""

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from model_artifact import __version__
from model_service.telemetry.totals import Family, Total

EXPORTER, INTERVAL = "OTEL_METRICS_EXPORTER", "OTEL_METRIC_EXPORT_INTERVAL"
DEFAULT_INTERVAL_MS = 60_000.0
ATTRIBUTES = {
    "http_request_method": "http.request.method",
    "http_route": "http.route",
    "http_response_status_code": "http.response.status_code",
    "model_name": "model.name",
    "model_version": "model.version",
}
NAMES = {
    "http_server_request_duration_seconds": "http.server.request.duration",
    "http_server_active_requests": "http.server.active_requests",
}
"""Those that OpenTelemetry's semantic conventions have a name for."""
_CUMULATIVE = AggregationTemporality.CUMULATIVE


def wanted() -> bool:
    """Whether the environment asks for metrics over OTLP."""
    return os.environ.get(EXPORTER, "").strip().lower() == "otlp"


class Otlp:
    """Sends to the endpoint that the standard `OTEL_EXPORTER_OTLP_*` variables name."""

    def __init__(self, resource: Resource, started: int) -> None:
        self.seconds = float(os.environ.get(INTERVAL) or DEFAULT_INTERVAL_MS) / 1000
        self._resource, self._started = resource, started
        self._exporter = OTLPMetricExporter()

    def send(self, families: Sequence[Family]) -> None:
        """Send one round.

        Raises:
            ConnectionError: the collector did not take it.
        """
        now = time.time_ns()
        metrics = [self._metric(family, now) for family in families]
        scope = ScopeMetrics(InstrumentationScope("model_service", __version__), metrics, "")
        data = MetricsData([ResourceMetrics(self._resource, [scope], "")])
        if self._exporter.export(data) is not MetricExportResult.SUCCESS:
            raise ConnectionError("the OTLP endpoint did not take them")

    def _metric(self, family: Family, now: int) -> Metric:
        name = family.metric.name
        told = NAMES.get(name) or name.removesuffix("_total").removesuffix("_seconds").replace("model_", "model.", 1)
        unit = "s" if name.endswith("_seconds") else "1"
        points = [self._POINTS[family.metric.kind](self, family, total, now) for total in family.totals]
        return Metric(told, family.metric.help, unit, self._DATA[family.metric.kind](points))

    def _number(self, family: Family, total: Total, now: int) -> NumberDataPoint:
        return NumberDataPoint(_attributes(family, total), self._started, now, total.values[0])

    def _histogram(self, family: Family, total: Total, now: int) -> HistogramDataPoint:
        counts, bounds = [int(count) for count in total.values[:-1]], list(total.own or family.bounds)
        unknown: Any = None  # the smallest and the largest are not kept; the format lets them out
        labels, number, added = _attributes(family, total), sum(counts), total.values[-1]
        return HistogramDataPoint(labels, self._started, now, number, added, counts, bounds, unknown, unknown)

    _POINTS: dict[str, Callable[..., Any]] = {"counter": _number, "gauge": _number, "histogram": _histogram}  # noqa: RUF012
    _DATA: dict[str, Callable[[list[Any]], Any]] = {  # noqa: RUF012
        "counter": lambda points: Sum(points, _CUMULATIVE, True),
        "gauge": Gauge,
        "histogram": lambda points: Histogram(points, _CUMULATIVE),
    }


def _attributes(family: Family, total: Total) -> dict[str, str]:
    names = [ATTRIBUTES.get(label, label) for label in family.metric.labels]
    return dict(zip(names, total.labels, strict=True))
