"""Progress on standard error, so that standard output holds results only, and how a run ends."""

import sys
import time
from collections.abc import Callable
from typing import NoReturn

from benchmarks.serving.errors import BenchmarkError

_STARTED = time.monotonic()


def say(sentence: str) -> None:
    """One line, with the seconds since the start."""
    sys.stderr.write(f"[{time.monotonic() - _STARTED:6.1f} s] {sentence}\n")
    sys.stderr.flush()


def ending(bench: Callable[[], int | None]) -> NoReturn:
    """Run a benchmark and end the process: with its exit code, or 1 and the sentence of what went wrong."""
    try:
        sys.exit(bench())
    except BenchmarkError as error:
        say(f"error: {error}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
