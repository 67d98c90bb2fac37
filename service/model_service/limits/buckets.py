"""The buckets of one pod, which its workers share.

A share of the rate for each worker would refuse a caller that keeps one connection, and so reaches one worker, long
before its limit. What is forgotten when there are too many callers is the bucket of a set that will be full again
first: nobody notices it soonest.
"""

from collections.abc import Sequence
from typing import TypeAlias

from model_service.limits.limit import Limit
from model_service.records import WAYS, Records

SETS = 8192
_MASK = SETS - 1

Charge: TypeAlias = tuple[Limit, str]
"""A limit, and the caller whose bucket of it is meant."""
Taken: TypeAlias = tuple[bool, list[float]]


class Buckets:
    """65,536 buckets in one mebibyte: for each the identity of its caller, and when it will be full again."""

    def __init__(self) -> None:
        self._records = records = Records(SETS, 1)
        self._acquire, self._release = records.acquire, records.release
        self._callers, (self._times,) = records.identities, records.columns

    def take(self, charges: Sequence[Charge], now: float) -> Taken:
        """Take a request from each bucket, or from none when one of them has none left.

        Args:
            charges: limits with callers.
            now: seconds of a clock that all workers share.

        Returns:
            Whether it is allowed, and each limit's backlog in seconds: with this request if it is, else without.
        """
        self._acquire()
        taken = self._take(charges, now)
        self._release()
        return taken

    def _take(self, charges: Sequence[Charge], now: float) -> Taken:
        callers, times = self._callers, self._times
        backlogs: list[float] = []
        for limit, caller in charges:
            identity = hash(caller) ^ limit.salt
            cell = (identity & _MASK) * WAYS  # where the first of its set is, which it mostly is itself
            if callers[cell] != identity:
                cell = self._records.take(identity)
            missing = times[cell] - now
            backlog = missing + limit.interval if missing > 0.0 else limit.interval
            if backlog > limit.depth:
                return False, self._give_back(charges, len(backlogs), now)
            times[cell] = now + backlog
            backlogs.append(backlog)
        return True, backlogs

    def _give_back(self, charges: Sequence[Charge], taken: int, now: float) -> list[float]:
        """Undo the first `taken` charges of a request that a later one refused."""
        backlogs = []
        for index, (limit, caller) in enumerate(charges):
            cell = self._records.take(hash(caller) ^ limit.salt)
            if index < taken:
                self._times[cell] -= limit.interval
            backlogs.append(max(self._times[cell] - now, 0.0))
        return backlogs
