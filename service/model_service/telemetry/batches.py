"""What a batcher tells: how long requests waited, what a call cost, and the spans of those that are traced."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from opentelemetry import context, trace

from model_service.telemetry.metrics import Metrics

Spanned = trace.Span | None
log = logging.getLogger(__name__)


class Waiting(Protocol):
    """A request of a batch, as far as telemetry is concerned: when it was queued, and its span when it is traced."""

    queued: float
    span: Spanned


class BatchTelemetry:
    """The instruments of one version."""

    def __init__(self, metrics: Metrics, tracer: trace.Tracer, name: str, version: str) -> None:
        self._tracer = tracer
        self._model = {"model.name": name, "model.version": version}
        self._queue = metrics.histogram("model_queue_duration_seconds", name, version)
        self._infer = metrics.histogram("model_compute_infer_duration_seconds", name, version)
        self._rows = metrics.histogram("model_batch_rows", name, version)
        self._batches = {
            reason: metrics.counter("model_batches_total", name, version, reason)
            for reason in ("idle", "full", "window")
        }
        self._cancelled = metrics.counter("model_requests_cancelled_total", name, version)
        self._mismatches = metrics.counter("model_row_count_mismatches_total", name, version)

    def started(self, batch: Sequence[Waiting], rows: int, reason: str) -> None:
        """Tell that a batch was taken from the queue."""
        now = time.perf_counter()
        for item in batch:
            self._queue.observe(now - item.queued)
        self._rows.observe(rows)
        self._batches[reason].add()

    @contextmanager
    def calling(self, batch: Sequence[Waiting]) -> Iterator[None]:
        """Run the call inside a span of its own, linked to every traced member, for spans that the model makes."""
        members = [item.span for item in batch if item.span is not None]
        if not members:
            yield
            return
        links = [trace.Link(span.get_span_context()) for span in members]
        parent = trace.set_span_in_context(members[0])
        with self._tracer.start_as_current_span("batch", parent, links=links[1:], attributes=self._model):
            yield

    def ended(self, batch: Sequence[Waiting], started: float, ended: float) -> None:
        """Tell that a call is over, and give each traced member its queue and predict spans."""
        self._infer.observe(ended - started)
        for item in batch:
            if item.span is not None:
                self._span("queue", item.span, item.queued, started)
                self._span("predict", item.span, started, ended)

    def cancelled(self) -> None:
        """Tell that a client left before its answer was there."""
        self._cancelled.add()

    def wrong_row_count(self, sentence: str) -> None:
        """Tell that the model answered another number of rows; the cause is logged here only."""
        log.error(sentence, extra=self._extra())
        self._mismatches.add()

    def raised(self, error: Exception) -> None:
        """Log what the model raised."""
        log.error("prediction failed", exc_info=error, extra=self._extra())

    def _span(self, name: str, parent: trace.Span, started: float, ended: float) -> None:
        now, epoch = time.perf_counter(), time.time_ns()
        start, end = (epoch - int((now - moment) * 1e9) for moment in (started, ended))
        span = self._tracer.start_span(
            name, trace.set_span_in_context(parent, context.Context()), attributes=self._model, start_time=start
        )
        span.end(end)

    def _extra(self) -> dict[str, str]:
        return {name.replace(".", "_"): value for name, value in self._model.items()}
