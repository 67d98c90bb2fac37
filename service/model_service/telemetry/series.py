"""Numbers in shared memory: one region for each worker slot, so that any worker can tell the sum over all of them.

A region is a list of entries that only grows: `[key bytes: u32][values: u32][key, padded to 8][values: float64 ...]`,
after a header that holds how many bytes are in use and is written last. It has one writer, the worker in its slot; a
worker that takes the slot over continues the entries that it finds. So counters survive the death of a worker, and
nothing grows with the number of workers that ever lived.
"""

import logging
import mmap
import struct
import threading
import time
from collections.abc import Iterator
from typing import TypeAlias

REGION_BYTES = 256 << 10
_USED = struct.Struct("=Q")
_ENTRY = struct.Struct("=II")
_CELL = 8

log = logging.getLogger(__name__)
Cells: TypeAlias = "memoryview[float]"


class SharedSeries:
    """Named rows of numbers for `slots` writers; made before the fork and inherited by every worker.

    `started` is when counting began, in nanoseconds since the epoch.
    """

    def __init__(self, slots: int) -> None:
        self.started = time.time_ns()
        self._slots = range(slots)
        self._memory = mmap.mmap(-1, slots * REGION_BYTES)
        self._cells: Cells = memoryview(self._memory).cast("d")
        for slot in self._slots:
            self._write_used(slot, _USED.size)

    def find_or_add(self, slot: int, key: bytes, values: int) -> Cells:
        """The numbers under `key` of one slot, writable in place; new ones are zero.

        A region that is full gives numbers that nobody reads, and the log says so.
        """
        for found, cells in self.read(slot):
            if found == key:
                return cells
        start = self._used(slot)
        keyed = start + _ENTRY.size + _padded(len(key))
        end = keyed + values * _CELL
        if end > REGION_BYTES:
            log.warning("no room is left for the metric %s: it is not told", key.decode())
            return memoryview(bytearray(values * _CELL)).cast("d")
        base = slot * REGION_BYTES
        _ENTRY.pack_into(self._memory, base + start, len(key), values)
        self._memory[base + start + _ENTRY.size : base + start + _ENTRY.size + len(key)] = key
        self._write_used(slot, end)
        return self._row(base + keyed, values)

    def read(self, slot: int) -> Iterator[tuple[bytes, Cells]]:
        """Each key of one slot with its numbers."""
        base, used, at = slot * REGION_BYTES, self._used(slot), _USED.size
        while at < used:
            key_bytes, values = _ENTRY.unpack_from(self._memory, base + at)
            key_at = at + _ENTRY.size
            values_at = key_at + _padded(key_bytes)
            yield self._memory[base + key_at : base + key_at + key_bytes], self._row(base + values_at, values)
            at = values_at + values * _CELL

    def _row(self, start: int, values: int) -> Cells:
        return self._cells[start // _CELL : start // _CELL + values]

    def _used(self, slot: int) -> int:
        (used,) = _USED.unpack_from(self._memory, slot * REGION_BYTES)
        return int(used)

    def _write_used(self, slot: int, used: int) -> None:
        _USED.pack_into(self._memory, slot * REGION_BYTES, used)


def _padded(length: int) -> int:
    return -(-length // _CELL) * _CELL


class Writer:
    """One worker's access to its own region; calls from several threads are told apart."""

    def __init__(self, series: SharedSeries, slot: int) -> None:
        self._series, self._slot = series, slot
        self._lock = threading.Lock()

    def cells(self, key: bytes, values: int) -> Cells:
        """The numbers under `key`, writable in place."""
        with self._lock:
            return self._series.find_or_add(self._slot, key, values)
