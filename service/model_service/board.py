"""The worker board: shared memory with one slot a worker, so that any worker can answer for all of them.

It is an anonymous mapping made before the fork and inherited by every worker: nothing to name, nothing to clean up.
Each slot has one writer, its worker; the master clears the slot of a worker that ended. There are more slots than
workers, because a reload starts the new ones before the old ones end.
"""

import enum
import mmap
import struct

from model_service.traffic.orders import Orders

REASON_BYTES = 3500
SPARE_SLOTS = 14
"""Room for workers added by hand (gunicorn's TTIN signal)."""
_HEADER = struct.Struct("=?")
_SLOT = struct.Struct(f"=B{REASON_BYTES}s")


class State(enum.IntEnum):
    """What a worker has come to."""

    EMPTY = 0
    LOADING = 1
    READY = 2
    FAILED = 3
    DRAINING = 4
    BROKEN = 5


_DRAINING = int(State.DRAINING)  # looked at for every request


class Board:
    """Readiness of `workers` workers, `configured` of them; `slots` are the places there are.

    `orders` is what the workers agree on.
    """

    def __init__(self, workers: int) -> None:
        self.configured = workers
        self.slots = range(2 * workers + SPARE_SLOTS)
        self.orders = Orders(len(self.slots))
        self._memory = mmap.mmap(-1, _HEADER.size + len(self.slots) * _SLOT.size)

    def claim(self) -> int:
        """Take the first empty slot, in the master, before a worker is forked."""
        slot = next((index for index in self.slots if self.state(index) is State.EMPTY), None)
        if slot is None:
            raise RuntimeError(f"no slot is left on the board of {self.configured} workers")
        self.orders.clear(slot)
        self.write(slot, State.LOADING)
        return slot

    def write(self, slot: int, state: State, reason: str = "") -> None:
        """Say what a worker has come to."""
        text = reason.encode(errors="replace")[:REASON_BYTES]
        _SLOT.pack_into(self._memory, self._offset(slot), state, text)

    def release(self, slot: int) -> None:
        """Empty the slot of a worker that ended; a failure stays on it for the master to report."""
        if self.state(slot) is not State.FAILED:
            self.write(slot, State.EMPTY)

    def state(self, slot: int) -> State:
        """State of one slot."""
        return State(self._memory[self._offset(slot)])

    def is_taken(self, slot: int) -> bool:
        """Whether a worker lives in the slot."""
        return self.state(slot) in {State.LOADING, State.READY, State.DRAINING}

    def is_draining(self, slot: int) -> bool:
        """Whether the worker in the slot takes no new connections."""
        return self._memory[self._offset(slot)] == _DRAINING

    def live(self) -> int:
        """How many workers are proven."""
        return sum(self.state(slot) is State.READY for slot in self.slots)

    def leads(self, slot: int) -> bool:
        """Whether the worker in the slot does what one has to do for all: it is the first that lives."""
        return next((other for other in self.slots if self.is_taken(other)), None) == slot

    def failure(self) -> str | None:
        """Reason of the first worker that failed for good."""
        for slot in self.slots:
            state, text = self._read(slot)
            if state == State.FAILED:
                return text.rstrip(b"\0").decode(errors="ignore")
        return None

    def overall(self) -> State:
        """READY once all workers have been proven, and as long as one is: one that respawns takes no traffic yet."""
        states = [self.state(slot) for slot in self.slots]
        if State.FAILED in states or State.BROKEN in states:
            return State.FAILED
        if states.count(State.READY) >= self.configured:
            _HEADER.pack_into(self._memory, 0, True)
        if State.READY in states:
            return State.READY if self.was_complete else State.LOADING
        return State.DRAINING if State.DRAINING in states else State.LOADING

    @property
    def was_complete(self) -> bool:
        """Whether all workers were proven at some time."""
        return bool(_HEADER.unpack_from(self._memory, 0)[0])

    def _read(self, slot: int) -> tuple[int, bytes]:
        state, text = _SLOT.unpack_from(self._memory, self._offset(slot))
        return state, text

    def _offset(self, slot: int) -> int:
        return _HEADER.size + slot * _SLOT.size
