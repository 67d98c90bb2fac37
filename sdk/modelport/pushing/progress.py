"""How far a push is: counted from every thread, told to whoever listens."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Bytes that are at the destination, of how many in all, of which were sent by this run, in how many seconds."""

    label: str
    done: int
    total: int
    sent: int
    seconds: float


Tell = Callable[[Progress], None]


class Stopped(Exception):
    """Another file failed, or the push was interrupted: this one need not go on."""


class Meter:
    """Counts the bytes of one push; its methods may be called from any thread.

    Args:
        label: what is pushed.
        total: bytes.
        tell: called, by one thread at a time, whenever there is news.
        clock: seconds.
    """

    def __init__(self, label: str, total: int, tell: Tell, clock: Callable[[], float] = time.monotonic) -> None:
        self._label, self._total, self._tell, self._clock = label, total, tell, clock
        self._sent: dict[str, int] = {}
        self._skipped = 0
        self._stopped = False
        self._lock = threading.Lock()
        self._began = clock()

    @property
    def sent(self) -> int:
        """Bytes that were sent."""
        return sum(self._sent.values())

    def at(self, key: str, size: int) -> None:
        """So many bytes of a file have left; fewer than before when it begins again. Raises Stopped after `stop`."""
        with self._lock:
            if self._stopped:
                raise Stopped(key)
            self._sent[key] = size
            done = self.sent + self._skipped
            self._tell(Progress(self._label, done, self._total, self.sent, self._clock() - self._began))

    def skip(self, size: int) -> None:
        """A file of that size is there already."""
        with self._lock:
            self._skipped += size

    def stop(self) -> None:
        """Let whatever is still being sent end."""
        self._stopped = True
