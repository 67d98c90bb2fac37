"""Logs as JSON lines on standard output, set up once, and the outermost layer of the request pipeline."""

import logging
import sys
import time
import traceback
import uuid
from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from model_service.errors import error_body

PROBES = frozenset({"/health", "/health/live"})
MAX_REQUEST_ID = 128
CLIENT_CLOSED_REQUEST = 499
"""What access logs call a request whose client left, after nginx."""
access = logging.getLogger("model_service.access")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, whatever was given as `extra`, and the exception."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = "".join(traceback.format_exception(*record.exc_info)).rstrip()
        return orjson.dumps(line, default=str).decode()


def set_up_logging(level: str) -> None:
    """Send every logger's lines through one handler; calling it again replaces the handler, never adds one."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = name != "uvicorn.access"  # our own access lines carry more
        logger.setLevel(logging.NOTSET)


class RequestLog:
    """Gives every request an id, writes its access line, and turns what nobody caught into the one error shape.

    Healthy probes write no line: they would drown the log.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, send)
        try:
            await self._app(scope, receive, exchange.send)
        except ClientDisconnect:
            exchange.abandoned()
        except Exception:
            logging.getLogger(__name__).exception("unhandled error", extra={"request_id": exchange.request_id})
            await exchange.fail()
        finally:
            exchange.log()


class _Exchange:
    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope, self._send, self._started = scope, send, time.perf_counter()
        self._status = 0
        given = Headers(scope=scope).get("x-request-id", "")
        self.request_id = given if given.isprintable() and 0 < len(given) <= MAX_REQUEST_ID else str(uuid.uuid4())
        # What the layers further in learn about the request and the access line should tell.
        scope.setdefault("state", {}).update(request_id=self.request_id, known={})

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            MutableHeaders(scope=message)["x-request-id"] = self.request_id
        await self._send(message)

    async def fail(self) -> None:
        if self._status:
            return
        body = orjson.dumps(error_body("internal_error", "the server failed; its log has the request id and the cause"))
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await self.send({"type": "http.response.start", "status": 500, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    def abandoned(self) -> None:
        """Note that the client left before it had sent its request: there is nobody to answer."""
        self._status = self._status or CLIENT_CLOSED_REQUEST

    def log(self) -> None:
        path = self._scope["path"]
        if path in PROBES and self._status < 400:
            return
        access.info(
            "%s %s %d", self._scope["method"], path, self._status,
            extra={
                "method": self._scope["method"],
                "path": path,
                "status": self._status,
                "duration_ms": round((time.perf_counter() - self._started) * 1000, 3),
                "request_id": self.request_id,
                **self._scope["state"]["known"],
            },
        )  # fmt: skip
