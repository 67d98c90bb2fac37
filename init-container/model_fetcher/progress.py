"""Telling how it goes, on stderr: one moving bar on a terminal, JSON lines for collectors of logs."""

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Lock
from typing import TextIO

TERMINAL_EVERY = 0.1
LOG_EVERY = 5.0
"""Seconds between two reports."""
WIDTH = 24
"""Characters of the bar."""
FETCHING = ("fetching", "fetched")
VERIFYING = ("verifying", "verified")


def megabytes(size: float) -> str:
    """`1536000` becomes `1.5 MB`."""
    return f"{size / 1e6:.1f} MB"


def duration(seconds: float) -> str:
    """`75` becomes `1:15`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


class Progress:
    """Reports on what a fetch moves, from any number of threads. `clock` gives seconds.

    `moved` counts the bytes that ever came over the wire, those of given up tries and of manifests too. `verbs` say
    what is being done, and what was in the end.
    """

    def __init__(
        self,
        stream: TextIO = sys.stderr,
        *,
        terminal: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
        verbs: tuple[str, str] = FETCHING,
    ) -> None:
        self._stream, self._verbs = stream, verbs
        self._terminal = stream.isatty() if terminal is None else terminal
        self._every = TERMINAL_EVERY if self._terminal else LOG_EVERY
        self._clock = clock
        self._lock = Lock()
        self._label = ""
        self._total: int | None = None
        self._here = self._fresh = self.moved = 0
        self._began = self._told = clock()

    def begin(self, label: str, total: int | None) -> None:
        """Something starts; `total` in bytes where it is known."""
        with self._lock:
            self._label, self._total, self._here, self._fresh = label, total, 0, 0
            self._began = self._told = self._clock()

    def expect(self, total: int) -> None:
        """So many bytes it will be, as it turns out."""
        with self._lock:
            self._total = total

    def add(self, size: int) -> None:
        """So many more bytes came over the wire."""
        with self._lock:
            self.moved += size
            self._fresh += size
            self._here += size
            if self._clock() - self._told >= self._every:
                self._told = self._clock()
                self._tell(final=False)

    def count(self, size: int) -> None:
        """So many bytes came over the wire that are no part of what `begin` announced."""
        with self._lock:
            self.moved += size

    def skip(self, size: int) -> None:
        """So many bytes are here without having been moved now; a negative number was moved in vain."""
        with self._lock:
            self._here += size

    def end(self) -> None:
        """All of it is here."""
        with self._lock:
            self._tell(final=True)

    def note(self, message: str, level: str = "info") -> None:
        """One sentence, such as why something is tried again."""
        with self._lock:
            if self._terminal:
                self._write(f"\r\x1b[K{message}\n")
            else:
                self._log(level, message)

    def _tell(self, *, final: bool) -> None:
        rate = self._fresh / max(self._clock() - self._began, 1e-3)
        if self._terminal:
            self._write(f"\r\x1b[K{self._bar(rate, final=final)}" + "\n" * final)
        else:
            message = self._verbs[final]
            left = round(self._left(rate)) if self._total and rate and not final else None
            fields = {"bytes": self._here, "total": self._total, "bytes_per_s": round(rate), "seconds_left": left}
            self._log("info", message, model=self._label, **fields)

    def _bar(self, rate: float, *, final: bool) -> str:
        here = megabytes(self._here)
        if not self._total:
            return f"{self._label}: {here}, {megabytes(rate)}/s"
        filled = min(WIDTH, self._here * WIDTH // self._total)
        bar = f"[{'#' * filled}{'.' * (WIDTH - filled)}] {min(100, self._here * 100 // self._total):3}%"
        left = "" if final or not rate else f", {duration(self._left(rate))} left"
        return f"{self._label}: {bar} {here} of {megabytes(self._total)}, {megabytes(rate)}/s{left}"

    def _left(self, rate: float) -> float:
        return max(0, (self._total or 0) - self._here) / rate

    def _log(self, level: str, message: str, **fields: object) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._write(json.dumps({"time": now, "level": level, "message": message, **fields}) + "\n")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
