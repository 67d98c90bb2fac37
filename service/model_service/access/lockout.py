"""Back-off after wrong credentials, for each address and the name that was tried there, in all workers of a pod.

Locked means that a password is not even tried. Keys and tokens cannot be guessed, so a right one is always taken; the
lock only changes what wrong ones are told.
"""

import math
import time
from collections.abc import Callable
from ipaddress import ip_address, ip_network

from model_service.records import Records

FREE_FAILURES = 5
FIRST_SECONDS, MOST_SECONDS = 1.0, 900.0
SETS = 2048
"""Of eight pairs of address and name; of a full one, who was wrong least recently is forgotten first."""


class Lockout:
    """Counts failures: after five, each one more locks for twice as long, from 1 s to 15 min.

    Args:
        clock: seconds, alike in all workers.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._records = Records(SETS, 2)
        self._latest, self._failures = self._records.columns

    def seconds(self, address: str, name: str) -> int:
        """For how long they are locked, in whole seconds; 0 when they are not."""
        with self._records.held():
            cell = self._records.find(_identity(address, name))
            until = 0.0 if cell is None else self._until(cell)
        return max(0, math.ceil(until - self._clock()))

    def failed(self, address: str, name: str) -> None:
        """They were wrong; long enough after the last lock the count begins anew."""
        with self._records.held():
            cell, now = self._records.take(_identity(address, name)), self._clock()
            if now > self._until(cell) + MOST_SECONDS:
                self._failures[cell] = 0
            self._failures[cell] += 1
            self._latest[cell] = now

    def succeeded(self, address: str, name: str) -> None:
        """They were right: forget the failures."""
        with self._records.held():
            cell = self._records.find(_identity(address, name))
            if cell is not None:
                self._latest[cell] = self._failures[cell] = 0

    def _until(self, cell: int) -> float:
        over = self._failures[cell] - FREE_FAILURES
        return self._latest[cell] + (min(MOST_SECONDS, FIRST_SECONDS * 2.0 ** min(over - 1, 64)) if over > 0 else 0.0)


def _identity(address: str, name: str) -> int:
    """Callers choose names, and whoever has one IPv6 address has the 2^64 beside it."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return hash((address, name))
    return hash((str(ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address, name))
