"""Progress on standard error, so that standard output holds results only."""

import sys
import time

_STARTED = time.monotonic()


def say(sentence: str) -> None:
    """One line, with the seconds since the start."""
    sys.stderr.write(f"[{time.monotonic() - _STARTED:6.1f} s] {sentence}\n")
    sys.stderr.flush()
