"""The shortest way through the service, for plain predict requests: from the HTTP parser to the queue and back.

It answers what `api.hot` and the pipeline around it would, for half the cost, because no task, no coroutine and no
message is made for a request. Whatever is not plain (a header that asks for something, a trace that is continued, a
body that the compiled decoder declines) is not refused here but takes the ordinary way, which sees it whole. So there
is one source for every refusal, and tests hold the answers of both ways against each other.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass

from opentelemetry.trace import SpanContext, format_trace_id

from model_service.api.predict import TIMEOUT, seconds_of
from model_service.api.standing import Gate, Rates, find_out
from model_service.batch import Item, Part
from model_service.board import Board
from model_service.errors import FAILURE, ClientLeft, InvalidInput, ServiceError
from model_service.headers import Headers
from model_service.jsontext import dumps
from model_service.protocol import Arriving, GuardedProtocol
from model_service.registry import Registry
from model_service.runtimes.base import Rows
from model_service.settings import Settings
from model_service.shadow import Mirror, Mirrored
from model_service.telemetry.logs import LineLog
from model_service.telemetry.metrics import Histogram, Metrics
from model_service.telemetry.requests import CLIENT_CLOSED_REQUEST, request_id_of
from model_service.telemetry.tracing import Beginnings, about, finished, traceparent
from model_service.versions import Lane

PATHS = {b"/predict": False, b"/predict/batch": True}
"""And whether a body holds many rows."""
ASKING = frozenset({
    b"content-encoding", b"expect", b"transfer-encoding", b"upgrade",
})  # fmt: skip
"""Headers that ask for more than a plain answer."""

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Express:
    """Takes the requests that are plain.

    Attributes:
        registry: says which version answers.
        settings: of the service.
        metrics: of this worker.
        lines: takes the access lines.
        traces: says which requests are sampled, and where their spans go.
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
        self._provider = self.traces.provider
        self._asks = self.gate is not None or self.rates is not None
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
            principal = self.gate.known(headers, connection)
            if principal is None or "predict" not in principal.quick:
                return None
        return Arriving(connection, url, headers, principal, self.traces.draw(), time.perf_counter())

    def begin(self, arrived: Arriving) -> "PlainRequest | None":
        """Queue a request, unless it turns out not to be plain."""
        lane = self.registry.plain or self.registry.find(None, None, arrived.headers)
        seconds = self._seconds if TIMEOUT not in arrived.headers else self._asked_for(arrived.headers)
        if lane is None or lane.version.hooks is not None or seconds is None:
            return None
        body = b"".join(arrived.pieces)
        rows = self._decode(body, lane, many=PATHS[arrived.url])
        if rows is None:
            return None
        request = PlainRequest(self, arrived, lane, rows, arrived.started + seconds)
        if self._asks and not self._charge(arrived, request):
            return None
        mirror = self.registry.mirrors.get(lane.version.name)
        if mirror is not None and mirror.wants(lane.version):
            request.copied = mirror, body
        if arrived.drawn is not None and self._provider is not None:
            request.trace(self._provider.context(arrived.drawn))
        self._active.add()
        self._in_flight.add()
        try:
            lane.version.batcher.enqueue(request)
        except ServiceError as error:  # there is more than can be answered: to say so must cost little
            request.fail(error)
        return request

    def _charge(self, arrived: Arriving, request: "PlainRequest") -> bool:
        """Hold a request against the limits; what they refuse, or other pods have to be asked about, is not plain."""
        connection, principal, lane = arrived.connection, arrived.principal, request.lane
        standing = connection.standing
        if standing is None or standing.principal is not principal or standing.lane is not lane:
            standing = connection.standing = find_out(connection, principal, lane, self.rates)
        request.known = standing.known
        if self.rates is None:
            return True
        told = self.rates.take(standing.charges, arrived.started)
        if told is None:
            return False
        request.header += told
        return True

    def _asked_for(self, headers: Headers) -> float | None:
        """How long a client is ready to wait; none where what it says is no time."""
        try:
            return min(seconds_of(headers) or 0.0, self._seconds)
        except InvalidInput:
            return None

    def _decode(self, body: bytes, lane: Lane, *, many: bool) -> Rows | None:
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
        if request.span is not None and self._provider is not None:
            self._provider.record(finished(request.span, request.told, request.started, status))
        if self.lines.wanted:
            path = request.url.decode()
            self.lines.write((now, request.started, "POST", path, status, request.request_id, request.known))

    def prepare(self) -> None:
        """Make the instruments of the usual request, so that the first one need not."""
        for url in PATHS:
            self._http_duration(url, 200)
        if self.registry.plain is not None:
            self._model_duration(self.registry.plain, "ok")

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


class _Nobody:
    """Takes uvicorn's notice that something happened: no coroutine waits for it here."""

    def set(self) -> None:
        """Do nothing."""


class PlainRequest(Item):
    """One request on the express way; to uvicorn it is the connection's cycle.

    Attributes:
        keep_alive, disconnected, response_started, response_complete, message_event: what uvicorn reads and sets.
        copied: the shadow that is to be asked too once the answer is written, and the body.
    """

    __slots__ = (
        "_connection", "_express", "copied", "disconnected", "header", "keep_alive", "known", "lane", "request_id",
        "response_complete", "started", "url",
    )  # fmt: skip
    message_event = _Nobody()

    def __init__(self, express: Express, arrived: Arriving, lane: Lane, rows: Rows, deadline: float) -> None:
        super().__init__(rows, deadline)
        self._express, self._connection, self.lane = express, arrived.connection, lane
        self.url, self.started = arrived.url, arrived.started
        self.request_id, self.header, self.known = request_id_of(arrived.headers), lane.header, lane.known
        self.keep_alive, self.disconnected, self.response_complete = True, False, False
        self.copied: tuple[Mirror, bytes] | None = None

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
        self.rows = []  # the connection keeps the request until its next one, whose rows take their place
        try:
            if PATHS[self.url]:
                content = version.writer.many(part, rows, started - self.started)
            else:
                content = version.writer.one(part)
        except Exception:
            log.exception("unhandled error", extra={"request_id": self.request_id})
            self._end(500, "failed", dumps(FAILURE))
        else:
            version.output.observe(time.perf_counter() - started)
            self._end(200, "ok", content)
            if self.copied is not None:
                mirror, body = self.copied
                mirror.offer(Mirrored(body, PATHS[self.url], version, part, rows))

    def fail(self, error: Exception) -> None:
        """Write the error, unless the request is answered or its client has left."""
        if self.response_complete:
            return
        if isinstance(error, ClientLeft):
            self.response_complete = True
            self._express.ended(self, CLIENT_CLOSED_REQUEST, "cancelled")
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

    def trace(self, span: SpanContext) -> None:
        """Have a span recorded of it, and tell log and client of the trace."""
        self.span = span
        self.known = {"trace_id": format_trace_id(span.trace_id), **self.known}
        self.header += b"traceparent: %b\r\n" % traceparent(span)

    @property
    def told(self) -> dict[str, str]:
        """What its span tells of it."""
        told = about("POST", self.url.decode(), self._connection.scheme)
        if "principal" in self.known:
            told["enduser.id"] = self.known["principal"]
        if self.lane.told:
            name, version = self.lane.version.key
            told |= {"model.name": name, "model.version": version, "model.variant": self.lane.variant}
        return told
