"""Telling how it goes, on stderr: one moving line on a terminal, JSON lines for collectors of logs."""

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TextIO

TERMINAL_EVERY = 0.1
LOG_EVERY = 5.0
"""Seconds between two reports on one file."""


def megabytes(size: float) -> str:
    """`1536000` becomes `1.5 MB`."""
    return f"{size / 1e6:.1f} MB"


class Progress:
    """Reports on one file at a time. `clock` gives seconds."""

    def __init__(
        self, stream: TextIO = sys.stderr, *, terminal: bool | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._terminal = stream.isatty() if terminal is None else terminal
        self._every = TERMINAL_EVERY if self._terminal else LOG_EVERY
        self._clock = clock
        self._label = ""
        self._total: int | None = None
        self._size = 0
        self._began = self._told = clock()

    def begin(self, label: str, total: int | None) -> None:
        """A file starts, or starts again; `total` in bytes where it is known."""
        self._label, self._total, self._size = label, total, 0
        self._began = self._told = self._clock()

    def at(self, size: int) -> None:
        """So many bytes of it are here."""
        self._size = size
        if self._clock() - self._told >= self._every:
            self._told = self._clock()
            self._tell(final=False)

    def end(self) -> None:
        """The file is complete."""
        self._tell(final=True)

    def note(self, message: str, level: str = "info") -> None:
        """One sentence, such as why something is tried again."""
        if self._terminal:
            self._write(f"\r\x1b[K{message}\n")
        else:
            self._log(level, message)

    def _tell(self, *, final: bool) -> None:
        rate = self._size / max(self._clock() - self._began, 1e-3)
        if self._terminal:
            of = f" of {megabytes(self._total)}" if self._total is not None else ""
            end = "\n" if final else ""
            self._write(f"\r\x1b[K{self._label}: {megabytes(self._size)}{of}, {megabytes(rate)}/s{end}")
        else:
            message = "fetched" if final else "fetching"
            self._log("info", message, file=self._label, bytes=self._size, total=self._total, bytes_per_s=round(rate))

    def _log(self, level: str, message: str, **fields: object) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._write(json.dumps({"time": now, "level": level, "message": message, **fields}) + "\n")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
