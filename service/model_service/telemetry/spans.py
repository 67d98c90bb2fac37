"""Spans of what is over: recorded in one piece once all is known of it, for a tenth of what an open span costs.

A traced request is answered between untraced ones, which wait for it; and an export takes the interpreter from all.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

SCOPE = InstrumentationScope("model_service")
PAUSE_SPANS, PAUSE_SECONDS = 8, 0.0016
"""How often an export lets requests be answered, and for how long: the next eight spans take half a millisecond."""
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_STATUS = {False: Status(StatusCode.UNSET), True: Status(StatusCode.ERROR)}


class DrawnIds(RandomIdGenerator):
    """Gives the next trace the id that was drawn for it, so that what was decided about it holds."""

    following: int | None = None

    def generate_trace_id(self) -> int:
        """The one that was drawn for the following trace, once; else a new one."""
        drawn, self.following = self.following, None
        return drawn if drawn is not None else super().generate_trace_id()


@dataclass(frozen=True, slots=True)
class Finished:
    """A span that is over.

    Attributes:
        name: what was done.
        context: of the span itself.
        parent: of the span that it is part of; none for the first of a trace.
        started, ended: by `time.perf_counter`.
        attributes: what is known of it.
        links: to spans that it has to do with.
        kind: INTERNAL, or SERVER for a whole request.
        failed: whether it ended in a fault of ours.
    """

    name: str
    context: SpanContext
    parent: SpanContext | None
    started: float
    ended: float
    attributes: Mapping[str, str | int]
    links: Sequence[Link] = ()
    kind: SpanKind = SpanKind.INTERNAL
    failed: bool = False


class Provider(TracerProvider):
    """The provider of a worker, which also takes spans that are over.

    Args:
        processor: takes all of them.
        resource: what each is labelled with.
    """

    def __init__(self, processor: SpanProcessor, resource: Resource | None = None) -> None:
        self.ids = DrawnIds()
        super().__init__(resource=resource, id_generator=self.ids)
        self.add_span_processor(processor)
        self._processor = processor

    def context(self, trace_id: int, state: TraceState | None = None) -> SpanContext:
        """A new span of a trace that is sampled, with what tracing systems keep in its state."""
        return SpanContext(trace_id, self.ids.generate_span_id(), False, _SAMPLED, state)

    def child(self, parent: SpanContext) -> SpanContext:
        """A new span of the same trace."""
        return self.context(parent.trace_id, parent.trace_state)

    def record(self, span: Finished) -> None:
        """Hand a span to the processor, as if it had been open from its start to its end."""
        epoch = time.time_ns() - time.perf_counter_ns()
        readable = ReadableSpan(
            span.name,
            span.context,
            span.parent,
            self.resource,
            span.attributes,
            links=span.links,
            kind=span.kind,
            status=_STATUS[span.failed],
            start_time=epoch + int(span.started * 1e9),
            end_time=epoch + int(span.ended * 1e9),
            instrumentation_scope=SCOPE,
        )
        self._processor.on_end(readable)


class PacedExporter(OTLPSpanExporter):
    """Encodes a few spans at a time and lets requests be answered in between, instead of hundreds at once."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans to the collector."""
        return super().export(_Paced(spans))


class _Paced(list[ReadableSpan]):
    def __iter__(self) -> Iterator[ReadableSpan]:
        for position, span in enumerate(super().__iter__()):
            if position % PAUSE_SPANS == 0:
                time.sleep(PAUSE_SECONDS)
            yield span
