"""The shortest way through the service, for plain predict requests: from the HTTP parser to the queue and back.

It answers what `api.hot` and the pipeline around it would, for half the cost, because no task, no coroutine and no
message is made for a request. Whatever is not plain (a header that asks for something, a trace that is continued, a
body that the compiled decoder declines) is not refused here but takes the ordinary way, which sees it whole. So there
is one source for every refusal, and tests hold the answers of both ways against each other.
"""

import logging
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from opentelemetry.trace import format_trace_id

from model_artifact.coercion import Row
from model_service.answers import BatchPrediction
from model_service.batch import Item, Part
from model_service.board import Board
from model_service.errors import FAILURE, ClientLeft, ServiceError
from model_service.jsontext import dumps
from model_service.protocol import Arriving, GuardedProtocol
from model_service.registry import Registry
from model_service.settings import Settings
from model_service.shadow import Mirrored
from model_service.telemetry.logs import LineLog
from model_service.telemetry.metrics import Histogram, Metrics
from model_service.telemetry.requests import CLIENT_CLOSED_REQUEST, request_id_of
from model_service.telemetry.tracing import Beginnings, about, end, traceparent
from model_service.versions import Lane

PATHS = {b"/predict": False, b"/predict/batch": True}
"""And whether a body holds many rows."""
ASKING = frozenset({
    b"content-encoding", b"expect", b"transfer-encoding", b"upgrade", b"x-request-timeout-ms",
})  # fmt: skip
"""Headers that ask for more than a plain answer."""

log = logging.getLogger(__name__)
Headers = Mapping[bytes, bytes]


class Someone(Protocol):
    """Who sends a request, as access control found out: `quick` holds what they may do without a second look."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def quick(self) -> Collection[str]: ...  # noqa: D102


class Gate(Protocol):
    """Access control, as far as it need not wait."""

    def known(self, headers: Headers) -> Someone | None:
        """Who sends a request; none where only the layer can find out."""


class Rates(Protocol):
    """The limits of rates, as far as they need not wait."""

    def take(self, scope: dict[str, Any], path: str, now: float) -> Iterable[tuple[bytes, bytes]] | None:
        """Charge a request and return what the client is told; none where only the layer can, or must refuse it."""


@dataclass(eq=False)
class Express:
    """Takes the requests that are plain.

    Attributes:
        registry: says which version answers.
        settings: of the service.
        metrics: of this worker.
        lines: takes the access lines.
        traces: begins those of the requests that are sampled.
        board: says whether this worker is leaving; its clients are told so on the ordinary way.
        slot: of this worker on the board.
        gate: knows who may predict; without it, everybody may.
        rates: the limits of rates, where there are any.
    """

    registry: Registry
    settings: Settings
    metrics: Metrics
    lines: LineLog
    traces: Beginnings
    board: Board
    slot: int
    gate: Gate | None = None
    rates: Rates | None = None

    def __post_init__(self) -> None:
        self._max_body, self._max_rows = self.settings.max_body_bytes, self.settings.max_batch_rows
        self._seconds = self.settings.request_timeout_seconds
        self._asking = ASKING | self.traces.continued_by
        self._active = self.metrics.gauge("http_server_active_requests")
        self._in_flight = self.metrics.gauge("model_requests_in_flight")
        self._http: dict[tuple[bytes, int], Histogram] = {}
        self._model: tuple[Lane | None, str, Histogram | None] = None, "", None

    def meets(self, connection: GuardedProtocol, url: bytes, headers: Headers) -> Arriving | None:
        """A POST that is plain as far as its head tells, and whose sender is known and may predict; or none."""
        if (
            url not in PATHS
            or headers.get(b"content-type") != b"application/json"
            or int(headers.get(b"content-length", self._max_body + 1)) > self._max_body
            or not self._asking.isdisjoint(headers)
            or self.board.is_draining(self.slot)
        ):
            return None
        principal = None
        if self.gate is not None:
            principal = self.gate.known(headers)
            if principal is None or "predict" not in principal.quick:
                return None
        return Arriving(connection, url, headers, principal, self.traces.draw(), time.perf_counter())

    def begin(self, arrived: Arriving) -> "PlainRequest | None":
        """Queue a request, unless it turns out not to be plain."""
        lane = self.registry.plain or self.registry.find(None, None, arrived.headers)
        if lane is None or lane.version.hooks is not None:
            return None
        rows = self._decode(b"".join(arrived.pieces), lane, many=PATHS[arrived.url])
        if rows is None:
            return None
        kind = MirroredRequest if self.registry.mirrors else PlainRequest
        request = kind(self, arrived, lane, rows, arrived.started + self._seconds)
        if self.rates is not None and not _charge(self.rates, arrived, request):
            return None
        if arrived.drawn is not None:
            self._trace(arrived, request)
        self._active.add()
        self._in_flight.add()
        try:
            lane.version.batcher.enqueue(request)
        except ServiceError as error:  # there is more than can be answered: to say so must cost little
            request.fail(error)
        return request

    def _trace(self, arrived: Arriving, request: "PlainRequest") -> None:
        told_of = about("POST", arrived.url.decode(), arrived.connection.scheme)
        span = self.traces.span(told_of, arrived.started, {}, arrived.drawn)
        told, lane = span.get_span_context(), request.lane
        request.span = span
        request.known = {"trace_id": format_trace_id(told.trace_id), **request.known}
        request.header += b"traceparent: %b\r\n" % traceparent(told)
        if arrived.principal is not None:
            span.set_attribute("enduser.id", arrived.principal.name)
        if lane.told:
            name, version = lane.version.key
            span.set_attributes({"model.name": name, "model.version": version, "model.variant": lane.variant})

    def _decode(self, body: bytes, lane: Lane, *, many: bool) -> list[Row] | None:
        started = time.perf_counter()
        schema = lane.version.schema
        rows = schema.quick_many(body, self._max_rows) if many else schema.quick_one(body)
        if rows is not None:
            lane.version.input.observe(time.perf_counter() - started)
        return rows

    def ended(self, request: "PlainRequest", status: int, outcome: str) -> None:
        """Count a request, before its answer is sent, and write its line; nothing is sent to a client that left."""
        now = time.perf_counter()
        elapsed = now - request.started
        self._active.add(-1)
        self._in_flight.add(-1)
        if status != CLIENT_CLOSED_REQUEST:
            self._http_duration(request.url, status).observe(elapsed)
        self._model_duration(request.lane, outcome).observe(elapsed)
        if self.lines.wanted:
            path = request.url.decode()
            self.lines.write((now, request.started, "POST", path, status, request.request_id, request.known))

    def _http_duration(self, url: bytes, status: int) -> Histogram:
        found = self._http.get((url, status))
        if found is None:
            labels = "POST", url.decode(), str(status)
            found = self._http[url, status] = self.metrics.histogram("http_server_request_duration_seconds", *labels)
        return found

    def _model_duration(self, lane: Lane, outcome: str) -> Histogram:
        known, last, histogram = self._model
        if known is not lane or last != outcome or histogram is None:
            labels = *lane.version.key, lane.variant, outcome
            histogram = self.metrics.histogram("model_request_duration_seconds", *labels)
            self._model = lane, outcome, histogram
        return histogram


def _charge(rates: Rates, arrived: Arriving, request: "PlainRequest") -> bool:
    """Hold a request against the limits; what they refuse, or other pods have to be asked about, is not plain."""
    caller = {"client": arrived.connection.client, "state": {"principal": arrived.principal}}
    told = rates.take(caller, arrived.url.decode(), arrived.started)
    if told is None:
        return False
    request.header += b"".join([b"%b: %b\r\n" % header for header in told])
    return True


class _Nobody:
    """Takes uvicorn's notice that something happened: no coroutine waits for it here."""

    def set(self) -> None:
        """Do nothing."""


class PlainRequest(Item):
    """One request on the express way; to uvicorn it is the connection's cycle.

    Attributes:
        keep_alive, disconnected, response_started, response_complete, message_event: what uvicorn reads and sets.
    """

    __slots__ = (
        "_connection", "_express", "disconnected", "header", "keep_alive", "known", "lane", "request_id",
        "response_complete", "started", "url",
    )  # fmt: skip
    message_event = _Nobody()

    def __init__(self, express: Express, arrived: Arriving, lane: Lane, rows: list[Row], deadline: float) -> None:
        super().__init__(rows, deadline)
        self._express, self._connection, self.lane = express, arrived.connection, lane
        self.url, self.started = arrived.url, arrived.started
        self.request_id, self.header, self.known = request_id_of(arrived.headers), lane.header, lane.known
        if arrived.principal is not None:
            self.known = {"principal": arrived.principal.name, **self.known}
        self.keep_alive, self.disconnected, self.response_complete = True, False, False

    @property
    def done(self) -> bool:
        """Whether it is answered, or nobody waits any more."""
        return self.response_complete

    @property
    def response_started(self) -> bool:
        """The same: an answer is written in one piece."""
        return self.response_complete

    def answer(self, part: Part) -> None:
        """Write the predictions."""
        started = time.perf_counter()
        version, rows = self.lane.version, len(self.rows)
        try:
            predictions: list[Any] = version.writer.predictions(part, rows)
            if PATHS[self.url]:
                content = dumps(BatchPrediction(predictions, rows, started - self.started))
            else:
                content = dumps(predictions[0])
        except Exception:
            log.exception("unhandled error", extra={"request_id": self.request_id})
            self._end(500, "failed", dumps(FAILURE))
        else:
            version.output.observe(time.perf_counter() - started)
            self._end(200, "ok", content)

    def fail(self, error: Exception) -> None:
        """Write the error, unless the request is answered or its client has left."""
        if self.response_complete:
            return
        if isinstance(error, ClientLeft):
            self.response_complete = True
            self._express.ended(self, CLIENT_CLOSED_REQUEST, "cancelled")
            self._end_span(CLIENT_CLOSED_REQUEST)
        elif isinstance(error, ServiceError):
            self._end(error.status, error.outcome, dumps(error.as_json()), error.headers)
        else:
            self._end(500, "failed", dumps(FAILURE))

    def leave(self) -> None:
        """The client has gone: nothing is computed for it that is not being computed."""
        if not self.response_complete:
            self.lane.version.batcher.leave(self)

    def _end(self, status: int, outcome: str, content: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.response_complete = True
        self._express.ended(self, status, outcome)
        own = b"".join([f"{name.lower()}: {value}\r\n".encode() for name, value in headers.items()]) if headers else b""
        self._connection.reply(
            status,
            b"%bcontent-length: %d\r\ncontent-type: application/json\r\nx-request-id: %b\r\n%b"
            % (own, len(content), self.request_id.encode("latin-1"), self.header),
            content,
            keep_alive=self.keep_alive,
        )
        self._end_span(status)

    def _end_span(self, status: int) -> None:
        if self.span is not None:
            end(self.span, "POST", self.url.decode(), status)


class MirroredRequest(PlainRequest):
    """One of a server with a shadow, which may be asked too once the answer is written."""

    __slots__ = ("_body",)

    def __init__(self, express: Express, arrived: Arriving, lane: Lane, rows: list[Row], deadline: float) -> None:
        super().__init__(express, arrived, lane, rows, deadline)
        self._body = b"".join(arrived.pieces)

    def answer(self, part: Part) -> None:
        """Write the predictions, and offer them for comparison."""
        super().answer(part)
        request = Mirrored(self._body, PATHS[self.url], self.lane.version, part, len(self.rows))
        self._express.registry.mirror(request)
