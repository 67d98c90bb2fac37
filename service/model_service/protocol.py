"""The HTTP/1.1 protocol with limits that uvicorn does not have: on the size of a request's head, and on slow clients.

uvicorn closes idle connections between requests only. Here a connection that sends nothing, a request that does not
arrive whole in time, and a head (or trailers) of too many bytes end with an answer in the service's one error shape.
A request that comes in one piece, as nearly all do, costs two more method calls.

And a request that is plain, which `Express` says, does not become an ASGI one, which is what half of its cost would be.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from model_service.errors import HeadTooLarge, MalformedRequest, RequestTimeout, ServiceError
from model_service.headers import Headers
from model_service.jsontext import dumps
from model_service.telemetry.tracing import DRAWN

GOODBYE_SECONDS = 1.0
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Guard:
    """What a client may do.

    Attributes:
        max_head_bytes: of request line and headers; also of anything else that is not body, such as trailers.
        read_seconds: from the first byte of a request to its last.
        count: is told the status of every answer that is given here, because the application does not see it.
    """

    max_head_bytes: int
    read_seconds: float
    count: Callable[[int], None]


class Plain(Protocol):
    """A request that `Express` has taken; uvicorn takes it for the connection's cycle."""

    keep_alive: bool
    response_complete: bool

    def leave(self) -> None:
        """The client has gone."""


class Express(Protocol):
    """What answers plain requests without the application around them; `model_service.api.express` is the one."""

    def meets(self, connection: "GuardedProtocol", url: bytes, headers: Headers) -> "Arriving | None":
        """A POST that is plain as far as its head tells, or none."""

    def begin(self, arrived: "Arriving") -> Plain | None:
        """Take a request that is whole, unless it turns out not to be plain; `reply` is called later."""


@dataclass(slots=True)
class Arriving:
    """A request that looks plain; its body follows.

    Attributes:
        connection: that it came on.
        url: of its first line.
        headers: names in lower case.
        principal: who sent it, where that matters.
        drawn: the id of its trace, when it is sampled.
        started: when its head had arrived, by `time.perf_counter`.
        pieces: of its body.
    """

    connection: "GuardedProtocol"
    url: bytes
    headers: Headers
    principal: Any
    drawn: int | None
    started: float
    pieces: list[bytes] = field(default_factory=list)


class GuardedProtocol(HttpToolsProtocol):
    """One connection.

    Args:
        config: uvicorn's.
        server_state: uvicorn's.
        app_state: uvicorn's.
        guard: the limits.
        express: takes plain requests; without it, all of them go to the application.

    Attributes:
        shown: what access control keeps of this connection.
        standing: what the express way does.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        guard: Guard,
        express: Express | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._guard, self._express = guard, express
        self.shown: Any = None
        self.standing: Any = None
        self._plain: Arriving | None = None
        self._refusal: ServiceError = MalformedRequest("the request is not HTTP/1.1")
        self._arriving = False
        self._without_body = 0
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give a new connection as long as an idle one."""
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave no timer behind."""
        self._unset_keepalive_if_required()
        self._unset_deadline()
        self._give_up_plain()
        cycle: Any = self.cycle
        if cycle is not None and hasattr(cycle, "leave"):
            cycle.leave()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came; from the first incomplete piece of a request on, the time runs."""
        self._without_body += len(data)
        super().data_received(data)
        if not self._arriving:
            self._unset_deadline()
        elif self._without_body > self._guard.max_head_bytes:
            self._refuse(self._head_too_large())
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self._guard.read_seconds, self._too_slow)

    def on_message_begin(self) -> None:
        """Begin a request; its scope is made when it turns out that it needs one."""
        self._arriving = True
        self.url, self.headers, self.expect_100_continue = b"", [], False

    def on_headers_complete(self) -> None:
        """Start the request, unless its head is too large; raising ends the parser's work on the connection."""
        if self._without_body > self._guard.max_head_bytes:  # then, and only then, it is worth counting
            head = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
            if head > self._guard.max_head_bytes:
                self._refusal = self._head_too_large()
                raise self._refusal
        express = self._express
        if express is None or not self._may_be_plain():
            self._begin_cycle()
            return
        self._plain = express.meets(self, self.url, dict(self.headers))
        if self._plain is None:
            self._begin_cycle()

    def _may_be_plain(self) -> bool:
        """Whether it is an ordinary POST, the only request at the moment, of a client that reads its answers."""
        parser = self.parser
        return (
            parser.get_method() == b"POST"
            and (self.cycle is None or self.cycle.response_complete)
            and not self.flow.write_paused
            and parser.should_keep_alive()
            and parser.get_http_version() == "1.1"
        )

    def _begin_cycle(self, drawn: int | None = None) -> None:
        """Give the request to the application, its body to follow; `drawn` is the id of its trace."""
        url, headers, expect = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.headers, self.expect_100_continue = url, headers, expect
        self.scope["headers"] = headers
        if drawn is not None:
            self.scope["state"][DRAWN] = drawn
        super().on_headers_complete()

    def _give_up_plain(self) -> None:
        """Give the application a plain request after all, with as much of its body as there is."""
        if self._plain is not None:
            plain, self._plain = self._plain, None
            self._begin_cycle(plain.drawn)
            for piece in plain.pieces:
                super().on_body(piece)

    def on_body(self, body: bytes) -> None:
        """Hand on a piece of the body."""
        self._without_body = 0
        if self._plain is None:
            super().on_body(body)
        else:
            self._plain.pieces.append(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._arriving, self._without_body = False, 0
        plain, express = self._plain, self._express
        if plain is not None and express is not None:
            begun: Any = self._begin_plain(express, plain)
            if begun is not None:
                self._plain, self.cycle = None, begun
                return
            self._give_up_plain()
        super().on_message_complete()

    def _begin_plain(self, express: Express, plain: Arriving) -> Plain | None:
        try:
            return express.begin(plain)
        except Exception:  # a fault of ours must not pass for one of the parser's
            log.exception("a plain request goes the ordinary way")
            return None

    def reply(self, status: int, head: bytes, content: bytes, *, keep_alive: bool) -> None:
        """Answer the plain request.

        Args:
            status: of HTTP.
            head: header lines, each with its end.
            content: the body.
            keep_alive: whether the client may send another one.
        """
        if not self.transport.is_closing():
            dated = b"".join([b"%b: %b\r\n" % header for header in self.server_state.default_headers])
            last = b"\r\n" if keep_alive else b"connection: close\r\n\r\n"
            self.transport.write(b"".join((STATUS_LINE[status], dated, head, last, content)))
            if not keep_alive:
                self.transport.close()
        self.on_response_complete()

    def shutdown(self) -> None:
        """Close when idle; a TLS client that has all its answers and does not return the goodbye is not waited for."""
        self._give_up_plain()
        silent = self.scheme == "https" and not self.transport.get_write_buffer_size()
        super().shutdown()
        if silent and self.transport.is_closing():
            self.loop.call_later(GOODBYE_SECONDS, self.transport.abort)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's text for what the parser refused
        """Answer what could not be parsed."""
        self._refuse(self._refusal)

    def _too_slow(self) -> None:
        self._deadline = None
        if self.flow.read_paused:  # it is we who do not read: an earlier request is still being answered
            self._deadline = self.loop.call_later(self._guard.read_seconds, self._too_slow)
        else:
            self._refuse(RequestTimeout(f"the request did not arrive whole within {self._guard.read_seconds:g} s"))

    def _refuse(self, error: ServiceError) -> None:
        """Answer, unless an answer has begun, and close."""
        self._arriving = False
        if self.transport.is_closing():
            return
        log.info("refused a request: %s", error)
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            body = dumps(error.as_json())
            head = f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
            self._guard.count(error.status)
            self.transport.write(STATUS_LINE[error.status] + head.encode() + body)
        self.transport.close()

    def _head_too_large(self) -> HeadTooLarge:
        return HeadTooLarge(f"the request line and headers are larger than {self._guard.max_head_bytes} bytes")

    def _unset_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
