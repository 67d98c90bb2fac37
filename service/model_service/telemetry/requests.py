"""The outermost layer of the request pipeline: an id, a log line and a measurement for every request."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from model_service.errors import FAILURE, ClientLeft
from model_service.ids import make_id
from model_service.telemetry.logs import LineLog
from model_service.telemetry.metrics import Histogram, Metrics

if TYPE_CHECKING:
    from opentelemetry.trace import Span

PROBES = frozenset({"/health", "/health/live", "/metrics"})
MAX_REQUEST_ID = 128
CLIENT_CLOSED_REQUEST = 499
"""What access logs call a request whose client left, after nginx."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
OTHER_METHOD, NO_ROUTE = "_OTHER", "unmatched"
"""Labels must be few: clients choose methods and paths."""
Facts = tuple[float, float, str, str, int, str, dict[str, Any]]
"""Of a request: when it ended and began, by `time.perf_counter`; method, path, status, id, and what else is known."""


class RequestLog:
    """Gives every request an id, writes its access line, counts it, and turns what nobody caught into an error answer.

    Healthy probes and scrapes write no line and are not counted: they would drown the rest.

    Args:
        app: the next layer.
        metrics: of this worker.
        lines: takes the access lines.
        template_of: the template of a path, for requests that a layer answered before a router was asked.
    """

    def __init__(
        self, app: ASGIApp, metrics: Metrics, lines: LineLog, template_of: Callable[[Scope], str | None]
    ) -> None:
        self._app, self._metrics, self._template_of = app, metrics, template_of
        self._active = metrics.gauge("http_server_active_requests")
        self._durations: dict[tuple[str, str | None, int], Histogram] = {}
        self._lines = lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        exchange = Exchange(scope, send, self._count)
        self._active.add()
        try:
            await self._app(scope, receive, exchange.send)
        except (ClientDisconnect, ClientLeft):
            exchange.status = exchange.status or CLIENT_CLOSED_REQUEST
        except Exception:
            logging.getLogger(__name__).exception("unhandled error", extra={"request_id": exchange.request_id})
            await exchange.fail()
        finally:
            self._active.add(-1)
            if self._lines.wanted and (exchange.path not in PROBES or exchange.status >= 400):
                self._lines.write(exchange.facts())
            del scope["state"]["exchange"]  # they hold each other: let go, or the garbage collector has to find out

    def _count(self, exchange: "Exchange") -> None:
        histogram = self._durations.get((exchange.method, exchange.route, exchange.status))
        if histogram is None:
            if exchange.path in PROBES:
                return
            histogram = self._duration_of(exchange)
        histogram.observe(time.perf_counter() - exchange.started)

    def _duration_of(self, exchange: "Exchange") -> Histogram:
        """The histogram of a request, found at once from the second one of its kind on."""
        method = exchange.method if exchange.method in METHODS else OTHER_METHOD
        exchange.route = exchange.route or route_of(exchange.scope) or self._template_of(exchange.scope)
        route = exchange.route or NO_ROUTE
        status = exchange.status
        histogram = self._metrics.histogram("http_server_request_duration_seconds", method, route, str(status))
        if (exchange.method, exchange.route) == (method, route):
            self._durations[method, route, status] = histogram
        return histogram


def access_line(facts: Facts) -> dict[str, Any]:
    """The fields of a request's line."""
    ended, started, method, path, status, request_id, known = facts
    return {
        "message": f"{method} {path} {status}",
        "method": method,
        "path": path,
        "status": status,
        "duration_ms": round((ended - started) * 1000, 3),
        "request_id": request_id,
        **known,
    }


class Exchange:
    """One request and its answer; the layers further in find it with `exchange_of`.

    Attributes:
        headers: of the request, names in lower case; of a repeated one the last.
        headers_out: more headers of the answer.
        known: what the layers learn about the request and the access line should tell.
        route: the path's template, for labels, where no router finds it.
        span: the server span, when this request is traced.
        started: when it arrived, by `time.perf_counter`.
    """

    __slots__ = (
        "_count", "_send", "headers", "headers_out", "known", "method", "path", "request_id", "route", "scope", "span",
        "started", "status",
    )  # fmt: skip

    def __init__(self, scope: Scope, send: Send, count: Callable[["Exchange"], None]) -> None:
        self.started = time.perf_counter()
        self._send, self._count, self.scope = send, count, scope
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.status = 0
        self.route: str | None = None
        self.span: Span | None = None
        self.known: dict[str, Any] = {}
        self.request_id = request_id_of(self.headers)
        self.headers_out = [(b"x-request-id", self.request_id.encode("latin-1"))]
        scope.setdefault("state", {})["exchange"] = self

    def facts(self) -> Facts:
        """What its access line tells, now that it is over."""
        ended = time.perf_counter()
        return ended, self.started, self.method, self.path, self.status, self.request_id, self.known

    async def send(self, message: Message) -> None:
        """Send a part of the answer; its head is counted first, so that a scrape after an answer knows of it."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), *self.headers_out]
            self._count(self)
        await self._send(message)

    async def fail(self) -> None:
        """Answer that the server failed, unless an answer is on its way already."""
        if self.status:
            return
        body = msgspec.json.encode(FAILURE)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await self.send({"type": "http.response.start", "status": 500, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


def request_id_of(headers: Mapping[bytes, bytes]) -> str:
    """The id that the client gave the request, if it can be told on, or a new one."""
    if b"x-request-id" not in headers:
        return make_id()
    given = headers[b"x-request-id"].decode("latin-1")
    return given if 0 < len(given) <= MAX_REQUEST_ID and given.isprintable() else make_id()


def count_refusal(metrics: Metrics, status: int) -> None:
    """Count an answer of the HTTP protocol itself, which no request was made of."""
    metrics.histogram("http_server_request_duration_seconds", OTHER_METHOD, NO_ROUTE, str(status)).observe(0.0)


def exchange_of(scope: Scope) -> Exchange:
    """The exchange of a request, for the layers that `RequestLog` surrounds."""
    exchange: Exchange = scope["state"]["exchange"]
    return exchange


def route_of(scope: Scope) -> str | None:
    """The template of the path that the router found."""
    path: str | None = getattr(scope.get("route"), "path", None)
    return path
