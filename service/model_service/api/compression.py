"""gzip of request bodies (`Content-Encoding: gzip`), inflated in small pieces and no further than a body may be large.

What it inflates to counts against the same limit as any body, so a body that is small on the wire and huge when
inflated is refused at the limit, with no more than the limit in memory.
"""

import zlib
from collections.abc import Awaitable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from model_service.api.http import respond
from model_service.errors import InvalidEncoding, PayloadTooLarge, UnsupportedMediaType
from model_service.telemetry.requests import exchange_of

PIECE_BYTES = 64 << 10
_GZIP = 16 + zlib.MAX_WBITS
_NAMES = frozenset({"gzip", "x-gzip"})


class GzipRequests:
    """Inflates request bodies; other encodings are refused with 415.

    Args:
        app: the next layer.
        limit: bytes of the inflated body.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app, self._limit = app, limit

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one request."""
        given = exchange_of(scope).headers.get(b"content-encoding")
        if not given:
            return self._app(scope, receive, send)
        encoding = given.decode("latin-1").strip().lower()
        if encoding == "identity":
            return self._app(scope, receive, send)
        if encoding in _NAMES:
            return self._app(scope, _Inflated(receive, self._limit).receive, send)
        error = UnsupportedMediaType(f"expected content-encoding gzip or none, got {encoding[:64]}")
        headers = {"accept-encoding": "gzip", "connection": "close"}
        return respond(error.as_json(), error.status, headers)(scope, receive, send)


class _Inflated:
    """One body: `receive` gives it on in pieces of at most 64 KiB."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive, self._limit = receive, limit
        self._stream = zlib.decompressobj(_GZIP)
        self._waiting: bytes | None = None
        self._size, self._sent, self._more, self._done = 0, 0, True, False

    async def receive(self) -> Message:
        """The next piece; after the last one, whatever the server has to say.

        Raises:
            InvalidEncoding: the body is not gzip, ends too early, or goes on after its end.
            PayloadTooLarge: it inflates to more than the limit.
        """
        while not self._done:
            if self._waiting is not None:
                if piece := self._inflate(self._waiting):
                    return {"type": "http.request", "body": piece, "more_body": True}
            elif self._more:
                message = await self._receive()
                if message["type"] != "http.request":
                    return message
                self._waiting, self._more = message.get("body", b""), message.get("more_body", False)
                self._sent += len(self._waiting)
            else:
                return self._end()
        return await self._receive()

    def _inflate(self, data: bytes) -> bytes:
        try:
            piece = self._stream.decompress(data, PIECE_BYTES)
        except zlib.error:
            raise InvalidEncoding("the body is declared as gzip and is not") from None
        if self._stream.unused_data:
            raise InvalidEncoding("the body goes on after the end of its gzip stream")
        self._size += len(piece)
        if self._size > self._limit:
            raise PayloadTooLarge(f"the body is larger than {self._limit} bytes when inflated")
        more = self._stream.unconsumed_tail
        # Output may wait inside even when all input is taken, but then this piece is full.
        self._waiting = more if more or len(piece) == PIECE_BYTES else None
        return piece

    def _end(self) -> Message:
        if self._sent and not self._stream.eof:
            raise InvalidEncoding("the gzip body ends too early")
        self._done = True
        return {"type": "http.request", "body": b"", "more_body": False}
