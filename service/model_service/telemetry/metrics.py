"""Every metric of the service, as a table, and the instruments that write them.

An instrument writes straight into shared memory, in about a third of a microsecond, before the answer it tells of is
sent: a scrape that follows an answer has counted it.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import msgspec

from model_service.telemetry.series import Cells, SharedSeries, Writer

Kind = Literal["counter", "gauge", "histogram"]
Combine = Literal["sum", "max"]

MODEL = ("model_name", "model_version")
ROW_BUCKETS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)
OUTCOMES = ("ok", "invalid", "overload", "deadline", "cancelled", "failed")


@dataclass(frozen=True, slots=True)
class Metric:
    """One family: `combine` says how the values of live workers become one, for gauges; everything else is summed."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] | Literal["latency"] = ()
    combine: Combine = "sum"

    def bounds(self, latency: tuple[float, ...]) -> tuple[float, ...]:
        """Upper bounds of a histogram's buckets, where those of latencies are `latency`."""
        return latency if self.buckets == "latency" else self.buckets


METRICS = (
    Metric(
        "http_server_request_duration_seconds", "histogram",
        "From the arrival of a request's head to the head of its answer; probes and scrapes are left out.",
        ("http_request_method", "http_route", "http_response_status_code"), "latency",
    ),
    Metric("http_server_active_requests", "gauge", "Requests being served now."),
    Metric(
        "model_request_duration_seconds", "histogram",
        f"From the arrival of a predict request to its answer; outcome is one of {', '.join(OUTCOMES)}.",
        (*MODEL, "outcome"), "latency",
    ),
    Metric("model_queue_duration_seconds", "histogram", "Time a request waited for its batch.", MODEL, "latency"),
    Metric("model_compute_input_duration_seconds", "histogram", "Time to read and check a request.", MODEL, "latency"),
    Metric("model_compute_infer_duration_seconds", "histogram", "Time in the model, a batch.", MODEL, "latency"),
    Metric("model_compute_output_duration_seconds", "histogram", "Time to write an answer.", MODEL, "latency"),
    Metric("model_batch_rows", "histogram", "Rows in one call of the model.", MODEL, ROW_BUCKETS),
    Metric(
        "model_batches_total", "counter",
        "Calls of the model by what set them off: idle (it had nothing to do), full, window (the wait was over).",
        (*MODEL, "reason"),
    ),
    Metric("model_requests_in_flight", "gauge", "Predict requests that are not answered yet: scale on this."),
    Metric("model_requests_cancelled_total", "counter", "Requests whose client left before the model ran.", MODEL),
    Metric("model_row_count_mismatches_total", "counter", "Calls that answered another number of rows.", MODEL),
    Metric("model_load_duration_seconds", "gauge", "Time the slowest worker took to be ready.", MODEL, combine="max"),
    Metric("model_ready", "gauge", "Workers in which the version is loaded and proven.", MODEL),
)  # fmt: skip
BY_NAME = {metric.name: metric for metric in METRICS}


class Counter:
    """A number that only grows."""

    __slots__ = ("_cells",)

    def __init__(self, cells: Cells) -> None:
        self._cells = cells

    def add(self, amount: float = 1.0) -> None:
        """Add to it."""
        self._cells[0] += amount


class Gauge(Counter):
    """A number that goes up and down."""

    __slots__ = ()

    def set(self, value: float) -> None:
        """Replace it."""
        self._cells[0] = value


class Histogram:
    """Counts by bucket, the last of which has no bound, and the sum."""

    __slots__ = ("_bounds", "_cells", "_sum")

    def __init__(self, cells: Cells, bounds: Sequence[float]) -> None:
        self._cells, self._bounds, self._sum = cells, bounds, len(bounds) + 1

    def observe(self, value: float) -> None:
        """Count one value."""
        self._cells[bisect_left(self._bounds, value)] += 1.0
        self._cells[self._sum] += value


Made = TypeVar("Made", bound=Counter)


class Metrics:
    """One worker's instruments, each made once and found again by name and label values."""

    def __init__(self, series: SharedSeries, slot: int, latency_buckets: Sequence[float]) -> None:
        self._writer = Writer(series, slot)
        self._latency = tuple(latency_buckets)
        for key, cells in series.read(slot):  # what the slot's last worker was doing died with it
            if decode_key(key)[0].kind == "gauge":
                cells[0] = 0.0
        self._made: dict[tuple[str, ...], Counter | Gauge | Histogram] = {}

    def counter(self, name: str, *labels: str) -> Counter:
        """The counter `name` with these label values, in the table's order."""
        return self._one(Counter, name, labels)

    def gauge(self, name: str, *labels: str) -> Gauge:
        """The gauge `name` with these label values."""
        return self._one(Gauge, name, labels)

    def histogram(self, name: str, *labels: str) -> Histogram:
        """The histogram `name` with these label values."""
        made = self._made.get((name, *labels))
        if isinstance(made, Histogram):
            return made
        bounds = BY_NAME[name].bounds(self._latency)
        instrument = Histogram(self._writer.cells(encode_key(name, labels), len(bounds) + 2), bounds)
        self._made[name, *labels] = instrument
        return instrument

    def _one(self, make: type[Made], name: str, labels: tuple[str, ...]) -> Made:
        made = self._made.get((name, *labels))
        if isinstance(made, make):
            return made
        instrument = make(self._writer.cells(encode_key(name, labels), 1))
        self._made[name, *labels] = instrument
        return instrument


def encode_key(name: str, labels: Sequence[str]) -> bytes:
    """The key of a series in shared memory."""
    return msgspec.json.encode([name, *labels])


def decode_key(key: bytes) -> tuple[Metric, tuple[str, ...]]:
    """The metric and the label values of a series."""
    name, *labels = msgspec.json.decode(key, type=list[str])
    return BY_NAME[name], tuple(labels)
