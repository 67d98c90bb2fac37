"""The use case every transport calls: resolve the version, decode, predict in a batch, answer."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from opentelemetry.trace import Span

from model_artifact.coercion import Row, show
from model_service.answers import BatchPrediction
from model_service.batch import Part, too_late
from model_service.errors import ClientLeft, ServiceError
from model_service.hooks import Hooks
from model_service.jsontext import dumps, loads
from model_service.registry import Registry
from model_service.runtimes.base import Rows
from model_service.schema import requests_of
from model_service.settings import Settings
from model_service.shadow import Mirrored
from model_service.telemetry.metrics import Metrics
from model_service.versions import Lane, Version


@dataclass(frozen=True, slots=True)
class Choice:
    """Which model and version a request named, if any."""

    name: str | None = None
    version: str | None = None


DEFAULT = Choice()
Answer = TypeVar("Answer")
LOGGED_ROWS = 10
"""Of a batch whose inputs are logged, at most so many."""


@dataclass(slots=True)
class Call:
    """What a transport knows about a request besides its body.

    Attributes:
        received: when it arrived, by `time.perf_counter`.
        seconds: how long the client gives it; the settings' limit when left out, and at most that.
        gone: awaits the client's departure.
        span: its server span, when it is traced.
        known: is told the model and version, for the access line.
        headers: of the request, names in lower case.
        headers_out: more headers of the answer.
    """

    received: float
    seconds: float | None
    gone: Callable[[], Awaitable[None]]
    span: Span | None
    known: dict[str, Any]
    headers: Mapping[bytes, bytes]
    headers_out: list[tuple[bytes, bytes]]


class Predictor:
    """Answers single rows and batches; a batch is one vectorised call."""

    def __init__(self, registry: Registry, settings: Settings, metrics: Metrics) -> None:
        self._registry, self._metrics = registry, metrics
        self._max_rows = settings.max_batch_rows
        self._seconds = settings.request_timeout_seconds
        self._logged = settings.log_input_fields
        self._in_flight = metrics.gauge("model_requests_in_flight")

    def one(self, body: bytes, choice: Choice, call: Call) -> Awaitable[bytes]:
        """Answer one `/predict` body.

        Raises:
            ServiceError: see `model_service.errors`.
            ClientLeft: nobody waits for the answer.
        """
        return self._observed(body, choice, call, many=False)

    def batch(self, body: bytes, choice: Choice, call: Call) -> Awaitable[bytes]:
        """Answer `{"requests": [...]}` with `{predictions, batch_size, processing_time}`, the time in seconds.

        Raises:
            ServiceError: see `model_service.errors`; one bad row refuses the whole batch, naming it.
            ClientLeft: nobody waits for the answer.
        """
        return self._observed(body, choice, call, many=True)

    async def _observed(self, body: bytes, choice: Choice, call: Call, *, many: bool) -> bytes:
        name = version = variant = ""
        outcome = "failed"
        self._in_flight.add()
        try:
            deadline = call.received + (self._seconds if call.seconds is None else min(call.seconds, self._seconds))
            lane = self._registry.plain if choice is DEFAULT else None
            if lane is None:
                lane = await self._choose(choice, call, deadline)
            served, variant = lane.version, lane.variant
            call.known["model_name"], call.known["model_version"] = name, version = served.name, served.version
            content = await self._answer(body, served, call, deadline, many=many)
            outcome = "ok"
        except ServiceError as error:
            outcome = error.outcome
            raise
        except ClientLeft:
            outcome = "cancelled"
            raise
        finally:
            self._in_flight.add(-1)
            elapsed = time.perf_counter() - call.received
            self._metrics.histogram("model_request_duration_seconds", name, version, variant, outcome).observe(elapsed)
        return content

    async def _choose(self, choice: Choice, call: Call, deadline: float) -> Lane:
        """The version for a request that is not simply answered by the default, and tell who asks which it is."""
        lane = self._registry.find(choice.name, choice.version, call.headers)
        if lane is None:
            lane = await _in_time(self._registry.resolve(choice.name, choice.version), deadline)
        if lane.told:
            call.known["variant"] = lane.variant
            call.headers_out.append((b"x-model-variant", lane.variant.encode()))
            if call.span is not None:
                name, version = lane.version.key
                call.span.set_attributes({"model.name": name, "model.version": version, "model.variant": lane.variant})
        return lane

    async def _answer(self, body: bytes, version: Version, call: Call, deadline: float, *, many: bool) -> bytes:
        started = time.perf_counter()
        if version.hooks is not None:
            rows: Rows = await _in_time(self._through(version.hooks, body, version, many=many), deadline)
        elif many:
            rows = version.schema.decode_many(body, self._max_rows)
        else:
            rows = version.schema.decode_one(body)
        version.input.observe(time.perf_counter() - started)
        if self._logged:
            call.known["inputs"] = self._shown(rows, version)
        span = call.span.get_span_context() if call.span is not None else None
        part = await version.batcher.submit(rows, deadline, call.gone, span)
        answered = time.perf_counter()
        if version.hooks is not None:
            edited = await _in_time(self._edited(version.hooks, version, part, len(rows)), deadline)
            content = dumps(BatchPrediction(edited, len(rows), answered - started) if many else edited[0])
        elif many:
            content = version.writer.many(part, len(rows), answered - started)
        else:
            content = version.writer.one(part)
        version.output.observe(time.perf_counter() - answered)
        mirror = self._registry.mirrors.get(version.name)
        if mirror is not None and mirror.wants(version):
            mirror.offer(Mirrored(body, many, version, part, len(rows)))
        return content

    async def _through(self, hooks: Hooks, body: bytes, version: Version, *, many: bool) -> list[Row]:
        values = requests_of(loads(body), self._max_rows) if many else [loads(body)]
        return version.schema.decode(await asyncio.to_thread(hooks.before, values))

    async def _edited(self, hooks: Hooks, version: Version, part: Part, rows: int) -> list[dict[str, Any]]:
        answers = msgspec.to_builtins(version.writer.predictions(part, rows))
        return await asyncio.to_thread(hooks.after, answers)

    def _shown(self, rows: Rows, version: Version) -> list[dict[str, str]]:
        names = version.schema.signature.names
        wanted = [(name, names.index(name)) for name in self._logged if name in names]
        values = version.schema.values(rows[:LOGGED_ROWS])
        return [{name: show(row[index]) for name, index in wanted} for row in values]


async def _in_time(work: Coroutine[Any, Any, Answer], deadline: float) -> Answer:
    """Wait for what a batcher does not time: a version that is being loaded, a hook in its thread."""
    try:
        async with asyncio.timeout(deadline - time.perf_counter()):
            return await work
    except TimeoutError as error:
        raise too_late() from error
