"""What every endpoint shares: what a body may be, how an answer is written, the limit on bodies, the error handler."""

from collections.abc import Awaitable, Mapping
from typing import Any

from fastapi import Request, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from model_service.board import Board
from model_service.errors import FAILURE, PayloadTooLarge, ServiceError, UnsupportedMediaType, error_body
from model_service.jsontext import dumps
from model_service.telemetry.requests import exchange_of

JSON = "application/json"


def respond(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Write strict JSON."""
    return Response(dumps(content), status, headers, JSON)


def refuse_other_media(content_type: str) -> None:
    """Let JSON pass, and a body that is not declared as anything.

    Raises:
        UnsupportedMediaType: it is declared as something else.
    """
    declared = (content_type or JSON).partition(";")[0].strip().lower()
    if declared != JSON and not declared.endswith("+json"):
        raise UnsupportedMediaType(f"expected content-type {JSON}, got {declared[:64]}")


async def on_service_error(_: Request, error: Exception) -> Response:
    """Answer any ServiceError in the one shape."""
    if not isinstance(error, ServiceError):
        raise error
    return respond(error.as_json(), error.status, error.headers)


async def on_http_error(_: Request, error: Exception) -> Response:
    """Answer the framework's own errors (no such route, wrong method) in the one shape."""
    if not isinstance(error, HTTPException):
        raise error
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
    return respond(error_body(code, str(error.detail)), error.status_code, error.headers)


async def on_failure(_: Request, __: Exception) -> Response:
    """Answer what nobody foresaw, without its text; the framework raises it again for the log."""
    return respond(FAILURE, 500)


class DrainNotice:
    """Asks clients to leave their connection once this worker is going away, so that none is cut."""

    def __init__(self, app: ASGIApp, board: Board, slot: int) -> None:
        self._app, self._board, self._slot = app, board, slot

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one request."""
        if self._board.is_draining(self._slot):
            exchange_of(scope).headers_out.append((b"connection", b"close"))
        return self._app(scope, receive, send)


class BodyLimit:
    """Stops reading a body at `limit` bytes, whatever its header promised."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app, self._limit = app, limit

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one request."""
        length = exchange_of(scope).headers.get(b"content-length")
        if length is None:
            return self._count(scope, receive, send)
        if int(length) > self._limit:
            return self._refuse(scope, receive, send)
        return self._app(scope, receive, send)  # the server holds the client to its word

    async def _count(self, scope: Scope, receive: Receive, send: Send) -> None:
        read = 0

        async def limited() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._limit:
                raise self._error()
            return message

        await self._app(scope, limited, send)

    def _error(self) -> PayloadTooLarge:
        return PayloadTooLarge(f"the body is larger than {self._limit} bytes")

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = self._error()
        await respond(error.as_json(), error.status, {"connection": "close"})(scope, receive, send)
