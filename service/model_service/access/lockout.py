"""Back-off after wrong credentials, for each address and the name that was tried there.

Locked means that a password is not even tried. Keys and tokens cannot be guessed, so a right one is always taken; the
lock only changes what wrong ones are told.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

FREE_FAILURES = 5
FIRST_SECONDS, MOST_SECONDS = 1.0, 900.0
LONGEST_NAME = 128
MOST_ENTRIES = 10_000
"""Who was wrong least recently is forgotten first."""


@dataclass(slots=True)
class _Record:
    failures: int = 0
    until: float = 0.0


class Lockout:
    """Counts failures: after five, each one more locks for twice as long, from 1 s to 15 min.

    Args:
        clock: seconds, for tests.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._records: OrderedDict[tuple[str, str], _Record] = OrderedDict()

    def seconds(self, address: str, name: str) -> int:
        """For how long they are locked, in whole seconds; 0 when they are not."""
        record = self._records.get(_key(address, name))
        return 0 if record is None else max(0, math.ceil(record.until - self._clock()))

    def failed(self, address: str, name: str) -> None:
        """They were wrong; long enough after the last lock the count begins anew."""
        key, now = _key(address, name), self._clock()
        record = self._records.setdefault(key, _Record())
        self._records.move_to_end(key)
        if record.until and now > record.until + MOST_SECONDS:
            record.failures = 0
        record.failures += 1
        if record.failures > FREE_FAILURES:
            record.until = now + min(MOST_SECONDS, FIRST_SECONDS * 2.0 ** (record.failures - FREE_FAILURES - 1))
        if len(self._records) > MOST_ENTRIES:
            self._records.popitem(last=False)

    def succeeded(self, address: str, name: str) -> None:
        """They were right: forget the failures."""
        self._records.pop(_key(address, name), None)


def _key(address: str, name: str) -> tuple[str, str]:
    """Callers choose names, and whoever has one IPv6 address has the 2^64 beside it."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address, name[:LONGEST_NAME]
    home = str(ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address
    return home, name[:LONGEST_NAME]
