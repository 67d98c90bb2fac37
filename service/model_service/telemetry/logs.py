"""Logs as JSON lines on standard output, set up once."""

import asyncio
import logging
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}
GATHER_SECONDS = 0.01
_encode = msgspec.json.Encoder(enc_hook=str).encode


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, whatever was given as `extra`, and the exception."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
        line: dict[str, Any] = {
            "time": timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = "".join(traceback.format_exception(*record.exc_info)).rstrip()
        return _encode(line).decode()


def timestamp(seconds: float) -> str:
    """A time since the epoch as ISO 8601 in UTC, with milliseconds."""
    whole, fraction = divmod(seconds, 1)
    return f"{_second(int(whole))}.{int(fraction * 1000):03d}Z"


@lru_cache(maxsize=8)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class JsonHandler(logging.StreamHandler):  # type: ignore[type-arg]  # generic for mypy only
    """Writes to standard output, as it is when the handler is made."""

    def __init__(self) -> None:
        super().__init__(sys.stdout)
        self.setFormatter(JsonFormatter())

    def write(self, text: str) -> None:
        """Write lines that are formatted already."""
        with self.lock or nullcontext():
            self.stream.write(text)
            self.flush()


def set_up_logging(level: str) -> None:
    """Send every logger's lines through one handler; calling it again replaces the handler, never adds one."""
    handler = JsonHandler()
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = name != "uvicorn.access"  # our own access lines carry more
        logger.setLevel(logging.NOTSET)


class LineLog:
    """Lines of the same shape as the other logs, gathered for some milliseconds, then formatted and written at once.

    A line costs a tenth of a log record, and half of that when it is formatted in a row with others; a write wakes
    whoever reads. At twenty thousand requests a second all that decides.
    """

    def __init__(self, name: str, fields: Callable[[Any], dict[str, Any]]) -> None:
        self._name, self._fields = name, fields
        self._logger = logging.getLogger(name)
        self._facts: list[tuple[Any, ...]] = []

    @property
    def wanted(self) -> bool:
        """Whether the log level lets these lines through."""
        return self._logger.isEnabledFor(logging.INFO)

    def write(self, facts: tuple[Any, ...]) -> None:
        """Add a line; call it on the event loop, and only when it is `wanted`.

        Args:
            facts: what fields are made of; the first is the moment that the line tells of, by `time.perf_counter`.
        """
        if not self._facts:
            asyncio.get_running_loop().call_later(GATHER_SECONDS, self.flush)
        self._facts.append(facts)

    def flush(self) -> None:
        """Write what was gathered."""
        if not self._facts:
            return
        gathered, self._facts = self._facts, []
        epoch = time.time() - time.perf_counter()
        head = {"level": "info", "logger": self._name}
        lines = [_encode({"time": timestamp(epoch + facts[0]), **head, **self._fields(facts)}) for facts in gathered]
        text = b"\n".join([*lines, b""]).decode()
        for handler in logging.getLogger().handlers:
            if isinstance(handler, JsonHandler):
                handler.write(text)
