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
Combine = Literal["sum", "max", "shift"]

MODEL = ("model_name", "model_version")
ROW_BUCKETS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0)
DIFFERENCE_BUCKETS = (1e-9, 1e-6, 1e-4, 0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 10.0, 100.0)
VARIANTS = ("default", "candidate", "named", "shadow")
OUTCOMES = ("ok", "invalid", "overload", "deadline", "cancelled", "failed")


@dataclass(frozen=True, slots=True)
class Metric:
    """One family: `combine` says how the values of live workers become one, for gauges; everything else is summed.

    Where a bundle's baseline has the buckets, or is what a shift is measured from, its numbers follow the label values
    in the key of a series.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] | Literal["latency", "baseline"] = ()
    combine: Combine = "sum"

    def bounds(self, latency: tuple[float, ...]) -> tuple[float, ...]:
        """Upper bounds of a histogram's buckets, where those of latencies are `latency`; a baseline's are elsewhere."""
        if isinstance(self.buckets, tuple):
            return self.buckets
        return latency if self.buckets == "latency" else ()


METRICS = (
    Metric(
        "http_server_request_duration_seconds", "histogram",
        "From the arrival of a request's head to the head of its answer; probes and scrapes are left out.",
        ("http_request_method", "http_route", "http_response_status_code"), "latency",
    ),
    Metric("http_server_active_requests", "gauge", "Requests being served now."),
    Metric(
        "model_request_duration_seconds", "histogram",
        f"From the arrival of a predict request to its answer; outcome is one of {', '.join(OUTCOMES)}; "
        f"variant is one of {', '.join(VARIANTS)}.",
        (*MODEL, "variant", "outcome"), "latency",
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
    Metric("model_prediction_score", "histogram", "Scores: a value, or the probability of a class.", MODEL, "baseline"),
    Metric(
        "model_predictions_total", "counter", "Predictions by class; those beyond the 50 most frequent are `other`.",
        (*MODEL, "prediction_class"),
    ),
    Metric(
        "model_score_shift", "gauge",
        "Population stability index of the pod's latest predictions against the training sample; told from 200 on.",
        MODEL, combine="shift",
    ),
    Metric("rate_limited_requests_total", "counter", "Requests refused because a limit was used up.", ("limit",)),
    Metric(
        "rate_limit_fallback", "gauge",
        "1 while the Redis of the rate limits does not answer and the pod counts on its own.", combine="max",
    ),
    Metric(
        "model_shadow_requests_total", "counter",
        "Requests that a shadow was asked too: ok, failed, or dropped because it or the server had too much to do.",
        (*MODEL, "outcome"),
    ),
    Metric("model_shadow_disagreements_total", "counter", "Rows that a shadow predicted otherwise.", MODEL),
    Metric(
        "model_shadow_score_difference", "histogram",
        "How far a shadow is off, a row: the largest difference of a probability, or that of the predicted values.",
        MODEL, DIFFERENCE_BUCKETS,
    ),
    Metric("model_memory_bytes", "gauge", "Memory that loading the version took, in all workers.", MODEL),
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
                cells[:] = memoryview(bytearray(cells.nbytes)).cast("d")
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

    def cells(self, name: str, labels: Sequence[str], values: int) -> Cells:
        """The numbers of a series for whoever counts in them by itself; `labels` may go on with those of a baseline."""
        return self._writer.cells(encode_key(name, labels), values)

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
