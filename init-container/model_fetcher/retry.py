"""Trying again: jittered exponential back-off, within a budget that starts anew when more bytes arrive than ever."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from typing import TypeVar

from model_artifact.delivery import DeliveryError

T = TypeVar("T")
Progressed = Callable[[int], None]
"""Told how far an attempt has come, in whatever unit shows that it is worth going on."""


def _ignore(_: str) -> None:
    """Say nothing."""


class Stopped(Exception):
    """There is no point in going on, for another thread has failed."""


@dataclass(frozen=True)
class Retry:
    """How long to go on, in seconds; `clock`, `sleep` and `jitter` (0 to 1) are arguments for tests' sake.

    `stop` ends all trying and waiting, from any thread.
    """

    budget: float = 120.0
    first_delay: float = 0.5
    longest_delay: float = 20.0
    notify: Callable[[str], None] = _ignore
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] | None = None
    jitter: Callable[[], float] = random.random
    stop: Event = field(default_factory=Event)

    def run(self, attempt: Callable[[Progressed], T]) -> T:
        """Call `attempt` until it returns.

        Args:
            attempt: is given a function to tell how far it has come; only further than any try before counts.

        Raises:
            DeliveryError: one that is not retryable, at once; a retryable one, when the budget is used up.
            Stopped: by `stop`.
        """
        watch = _Watch(self.clock)
        while True:
            if self.stop.is_set():
                raise Stopped
            try:
                return attempt(watch.progressed)
            except DeliveryError as error:
                if not error.retryable:
                    raise
                self._pause(error, watch)

    def _pause(self, error: DeliveryError, watch: "_Watch") -> None:
        watch.failures += 1
        backoff = min(self.longest_delay, self.first_delay * 2 ** min(watch.failures - 1, 16))
        delay = max(backoff * (0.5 + self.jitter() / 2), error.retry_after or 0.0)
        if watch.idle() + delay > self.budget:
            tries = "1 try" if watch.failures == 1 else f"{watch.failures} tries"
            final = type(error)(f"{error} (gave up after {tries}; no progress for {watch.idle():.0f} s)")
            final.retryable = False
            raise final from error
        if not self.stop.is_set():
            self.notify(f"{error}; trying again in {delay:.1f} s")
            (self.sleep or self.stop.wait)(delay)


class _Watch:
    """How far the best attempt came, and when."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since = clock()
        self._best = 0
        self.failures = 0

    def progressed(self, size: int) -> None:
        if size > self._best:
            self._best, self._since, self.failures = size, self._clock(), 0

    def idle(self) -> float:
        return self._clock() - self._since
