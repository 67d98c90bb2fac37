"""Progress on standard error: a bar on a terminal, a line every few seconds elsewhere."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from modelport.cli.table import human_size
from modelport.pushing import Progress

TERMINAL_EVERY = 0.1
LINE_EVERY = 5.0
"""Seconds between two reports."""
WIDTH = 24


class Bar:
    """Shows what it is told; a context that takes the bar away at its end.

    Args:
        stream: where to show.
        terminal: whether `stream` is one; found out when null.
        clock: seconds.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        terminal: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty() if terminal is None else terminal
        self._every = TERMINAL_EVERY if self._terminal else LINE_EVERY
        self._clock = clock
        self._told = clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._terminal:
            self._write("\r\x1b[K")

    def tell(self, progress: Progress) -> None:
        """Show it, unless the last was just before."""
        if self._clock() - self._told < self._every:
            return
        self._told = self._clock()
        rate = progress.sent / max(progress.seconds, 1e-3)
        left = f", {max(progress.total - progress.done, 0) / rate:.0f} s left" if rate else ""
        text = f"{human_size(progress.done)} of {human_size(progress.total)}, {human_size(rate)}/s{left}"
        if self._terminal:
            full = min(WIDTH * progress.done // max(progress.total, 1), WIDTH)
            self._write(f"\r\x1b[K{progress.label} [{'#' * full}{'.' * (WIDTH - full)}] {text}")
        else:
            self._write(f"pushing {progress.label}: {text}\n")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
