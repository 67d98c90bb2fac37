"""The HTTP/1.1 protocol with limits that uvicorn does not have: on the size of a request's head, and on slow clients.

uvicorn closes idle connections between requests only. Here a connection that sends nothing, a request that does not
arrive whole in time, and a head (or trailers) of too many bytes end with an answer in the service's one error shape.
A request that comes in one piece, as nearly all do, costs two more method calls.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from model_service.errors import HeadTooLarge, MalformedRequest, RequestTimeout, ServiceError
from model_service.jsontext import dumps

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


class GuardedProtocol(HttpToolsProtocol):
    """One connection.

    Args:
        config: uvicorn's.
        server_state: uvicorn's.
        app_state: uvicorn's.
        guard: the limits.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        guard: Guard,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._guard = guard
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
        """Begin a request."""
        self._arriving = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Start the request, unless its head is too large; raising ends the parser's work on the connection."""
        if self._without_body > self._guard.max_head_bytes:  # then, and only then, it is worth counting
            head = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
            if head > self._guard.max_head_bytes:
                self._refusal = self._head_too_large()
                raise self._refusal
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Hand on a piece of the body."""
        self._without_body = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._arriving, self._without_body = False, 0
        super().on_message_complete()

    def shutdown(self) -> None:
        """Close when idle; a TLS client that has all its answers and does not return the goodbye is not waited for."""
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
