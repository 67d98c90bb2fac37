"""What a batcher tells: how long requests waited, what a call cost, and the spans of those that are traced."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from opentelemetry.context import attach, detach
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, set_span_in_context

from model_service.telemetry.metrics import Metrics
from model_service.telemetry.spans import Finished, Provider

log = logging.getLogger(__name__)


class Waiting(Protocol):
    """A request of a batch, as far as telemetry is concerned: when it was queued, and its span when it is sampled."""

    queued: float
    span: SpanContext | None


class BatchTelemetry:
    """The instruments of one version."""

    def __init__(self, metrics: Metrics, provider: Provider | None, name: str, version: str) -> None:
        self._provider = provider
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
    def calling(self, batch: Sequence[Waiting]) -> Iterator[SpanContext | None]:
        """Run the call as the `predict` span of the first traced member, for spans that the model makes."""
        first = next((item.span for item in batch if item.span is not None), None)
        if first is None or self._provider is None:
            yield None
            return
        call = self._provider.child(first)
        token = attach(set_span_in_context(NonRecordingSpan(call)))
        try:
            yield call
        finally:
            detach(token)

    def ended(self, batch: Sequence[Waiting], call: SpanContext | None, started: float, ended: float) -> None:
        """Tell that a call is over, and give each traced member its queue and predict spans.

        Args:
            batch: that was called for.
            call: what `calling` gave; the predict spans of other members are linked to it.
            started: when it began, by `time.perf_counter`.
            ended: when it was over.
        """
        self._infer.observe(ended - started)
        if call is None or self._provider is None:
            return
        members = [(item.span, item.queued) for item in batch if item.span is not None]
        for position, (parent, queued) in enumerate(members):
            queue = self._provider.child(parent)
            predict = self._provider.child(parent) if position else call
            links = [Link(call)] if position else []
            self._provider.record(Finished("queue", queue, parent, queued, started, self._model))
            self._provider.record(Finished("predict", predict, parent, started, ended, self._model, links))

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

    def _extra(self) -> dict[str, str]:
        return {name.replace(".", "_"): value for name, value in self._model.items()}
