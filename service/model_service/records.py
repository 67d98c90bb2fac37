"""Numbers that are kept of each caller, in shared memory: whichever worker a connection reaches, it finds the same.

The memory is an anonymous mapping made before the fork, of a fixed size however many callers there are: a table of sets
of eight records, where a caller's identity chooses the set. A set that is full gives up the record whose first number
is the least.

A lock keeps changes exact. It is held for a microsecond; a worker that was killed meanwhile never gives it back, so
nobody waits for it longer than `PATIENCE_SECONDS`, and then takes it for given back.
"""

import mmap
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

WAYS = 8
PATIENCE_SECONDS = 0.1
_CELL = 8


class Records:
    """A table of records; a new one is all zeros.

    Args:
        sets: of eight records each; a power of two.
        numbers: in a record.

    Attributes:
        identities: of the callers by position: hashes that are alike in all workers, as one process forks them.
        columns: the numbers by position, a column for each.
        last_set: the sets less one, a mask of bits.
        acquire: lets nobody else change records; a method without the cost of one.
    """

    def __init__(self, sets: int, numbers: int) -> None:
        size = sets * WAYS * _CELL
        memory = memoryview(mmap.mmap(-1, (1 + numbers) * size))
        lock = multiprocessing.get_context("fork").Lock()
        self.acquire, self._release = partial(lock.acquire, True, PATIENCE_SECONDS), lock.release
        self.identities = memory[:size].cast("q")
        self.columns = tuple(memory[start : start + size].cast("d") for start in range(size, len(memory), size))
        self.last_set = sets - 1

    def release(self) -> None:
        """Let others change records again."""
        try:  # noqa: SIM105 - a context manager costs as much as all the rest
            self._release()
        except ValueError:
            pass  # somebody who was tired of waiting has given it back

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let nobody else change records in a block."""
        self.acquire()
        try:
            yield
        finally:
            self.release()

    def find(self, identity: int) -> int | None:
        """The position of a caller's record; none where there is none."""
        cells = self._set(identity)
        return next((cell for cell in cells if self.identities[cell] == identity), None)

    def take(self, identity: int) -> int:
        """The position of a caller's record, made where there is none."""
        found = self.find(identity)
        if found is not None:
            return found
        cell = min(self._set(identity), key=self.columns[0].__getitem__)
        self.identities[cell] = identity
        for column in self.columns:
            column[cell] = 0.0
        return cell

    def _set(self, identity: int) -> range:
        first = (identity & self.last_set) * WAYS
        return range(first, first + WAYS)
