"""What every endpoint shares: reading a JSON body, writing a JSON answer, the limit on bodies, the error handler."""

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import Request, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from model_service.board import Board, State
from model_service.errors import InvalidJson, PayloadTooLarge, ServiceError, UnsupportedMediaType, error_body

JSON = "application/json"


def respond(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Write strict JSON: NaN and infinities become null, arrays and floats are written exactly."""
    body = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)
    return Response(body, status, headers, JSON)


async def read_json(request: Request) -> Any:
    """Parse the request's body.

    Raises:
        UnsupportedMediaType: it is declared as something else.
        InvalidJson: it is not JSON; NaN and Infinity are not.
    """
    declared = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if declared != JSON and not declared.endswith("+json"):
        raise UnsupportedMediaType(f"expected content-type {JSON}, got {declared[:64]}")
    try:
        return orjson.loads(await request.body())
    except orjson.JSONDecodeError as error:
        raise InvalidJson(
            f"the body is not valid JSON: {error.msg} at line {error.lineno} column {error.colno}"
        ) from None


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


class DrainNotice:
    """Asks clients to leave their connection once this worker is going away, so that none is cut."""

    def __init__(self, app: ASGIApp, board: Board, slot: int) -> None:
        self._app, self._board, self._slot = app, board, slot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or self._board.state(self._slot) is not State.DRAINING:
            await self._app(scope, receive, send)
            return

        async def closing(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["connection"] = "close"
            await send(message)

        await self._app(scope, receive, closing)


class BodyLimit:
    """Stops reading a body at `limit` bytes, whatever its header promised."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "0")
        if length.isdigit() and int(length) > self._limit:
            await self._refuse(scope, receive, send)
            return
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
