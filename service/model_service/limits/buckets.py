"""The buckets of one pod, in shared memory: whichever worker a connection reaches, a caller has one bucket.

A share of the rate for each worker would refuse a caller that keeps one connection, and so reaches one worker, long
before its limit. The memory is an anonymous mapping made before the fork, of a fixed size however many callers there
are: a table of sets of eight buckets, where a caller's identity chooses the set. A set that is full gives up the bucket
that will be full again first; it has forgotten the least.

A lock keeps the count exact. It is held for a microsecond; a worker that was killed meanwhile never gives it back, so
nobody waits for it longer than `PATIENCE_SECONDS`, and then takes it for given back.
"""

import mmap
import multiprocessing
from collections.abc import Sequence
from typing import TypeAlias

from model_service.limits.limit import Limit

SETS = 8192
WAYS = 8
PATIENCE_SECONDS = 0.1
_MASK = SETS - 1
_CELL = 8

Charge: TypeAlias = tuple[Limit, str]
"""A limit, and the caller whose bucket of it is meant."""
Taken: TypeAlias = tuple[bool, list[float]]


class Buckets:
    """65,536 buckets in one mebibyte: for each the identity of its caller, and when it will be full again."""

    def __init__(self) -> None:
        cells = SETS * WAYS
        memory = memoryview(mmap.mmap(-1, 2 * cells * _CELL))
        lock = multiprocessing.get_context("fork").Lock()
        self._acquire, self._release = lock.acquire, lock.release
        # The hash of a caller's name, with the limit's: alike in all workers, as they are forked from one process.
        self._callers = memory[: cells * _CELL].cast("q")
        self._times = memory[cells * _CELL :].cast("d")

    def take(self, charges: Sequence[Charge], now: float) -> Taken:
        """Take a request from each bucket, or from none when one of them has none left.

        Args:
            charges: limits with callers.
            now: seconds of a clock that all workers share.

        Returns:
            Whether it is allowed, and each limit's backlog in seconds: with this request if it is, else without.
        """
        self._acquire(True, PATIENCE_SECONDS)
        taken = self._take(charges, now)
        try:  # noqa: SIM105 - a context manager costs as much as all the rest
            self._release()
        except ValueError:
            pass  # somebody who was tired of waiting has given it back
        return taken

    def _take(self, charges: Sequence[Charge], now: float) -> Taken:
        times = self._times
        backlogs: list[float] = []
        for limit, caller in charges:
            cell = self._cell(limit, caller)
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
            cell = self._cell(limit, caller)
            if index < taken:
                self._times[cell] -= limit.interval
            backlogs.append(max(self._times[cell] - now, 0.0))
        return backlogs

    def _cell(self, limit: Limit, caller: str) -> int:
        """The bucket of a caller; for a new one the fullest of its set."""
        identity = hash(caller) ^ limit.salt
        first = (identity & _MASK) * WAYS
        if self._callers[first] == identity:
            return first
        return self._search(first, identity)

    def _search(self, first: int, identity: int) -> int:
        cells = range(first, first + WAYS)
        for cell in cells:
            if self._callers[cell] == identity:
                return cell
        cell = min(cells, key=self._times.__getitem__)
        self._callers[cell] = identity
        self._times[cell] = 0.0
        return cell
