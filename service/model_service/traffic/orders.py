"""What the workers of a pod agree on, in shared memory: a proposal, what is in force, and each worker's answer.

It is an anonymous mapping made before the fork. A document is written with its number and a checksum of both, so that a
reader that comes too early reads again later. Proposals have one writer at a time, who holds `exclusive`; the lock dies
with its holder.
"""

import asyncio
import fcntl
import mmap
import os
import struct
import tempfile
import weakref
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import msgspec

from model_service.traffic.document import MAX_BYTES, Key, Traffic

POLL_SECONDS = 0.02
REASON_BYTES = 1000
_BLOCK = struct.Struct("=IIQ")  # length, checksum, number
_BLOCK_BYTES = _BLOCK.size + 2 * MAX_BYTES
_ANSWER = struct.Struct(f"=QQH{REASON_BYTES}s6x")  # applied, answered, bytes of the answer
PROPOSED, IN_FORCE = 0, 1


class Desired(msgspec.Struct, frozen=True):
    """What every worker should have.

    Attributes:
        traffic: which versions answer.
        loaded: what was loaded by command, for workers that start later.
        load: to be loaded before this takes effect; one that starts later looks at `loaded` only.
        unload: to be dropped when it does.
        alone: the only worker that is asked whether it could.
    """

    traffic: Traffic = Traffic()
    loaded: tuple[Key, ...] = ()
    load: Key | None = None
    unload: Key | None = None
    alone: int | None = None


class Verdict(msgspec.Struct, frozen=True):
    """A worker's answer to a proposal: no `problem`, or its kind (`missing`, `unservable`, `budget`) and the reason."""

    problem: str | None = None
    reason: str = ""


class Order(NamedTuple):
    """A numbered document; `desired` is none where there is nothing, or where it was taken back."""

    number: int
    desired: Desired | None


class Orders:
    """The shared memory of `slots` workers."""

    def __init__(self, slots: int) -> None:
        self._memory = mmap.mmap(-1, 2 * _BLOCK_BYTES + slots * _ANSWER.size)
        self._lock = _anonymous_file()
        weakref.finalize(self, os.close, self._lock)
        self._inside = asyncio.Lock()

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        """Be the only one, in this process and among the workers, who proposes."""
        async with self._inside:
            while not self._try_lock():  # noqa: ASYNC110 - other processes set no events
                await asyncio.sleep(POLL_SECONDS)
            try:
                yield
            finally:
                fcntl.lockf(self._lock, fcntl.LOCK_UN)

    def _try_lock(self) -> bool:
        try:
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def number(self, block: int) -> int:
        """Number of what is PROPOSED or IN_FORCE; 0 for nothing."""
        found: int = _BLOCK.unpack_from(self._memory, block * _BLOCK_BYTES)[2]
        return found

    def read(self, block: int) -> Order | None:
        """What is PROPOSED or IN_FORCE; none while it is being written."""
        start = block * _BLOCK_BYTES
        length, checksum, number = _BLOCK.unpack_from(self._memory, start)
        content = self._memory[start + _BLOCK.size : start + _BLOCK.size + length]
        if checksum != _checksum(content, number):
            return None
        return Order(number, msgspec.json.decode(content, type=Desired) if content else None)

    @property
    def in_force(self) -> Order:
        """What is in force, for those who come when nobody writes; nothing at the start."""
        return self.read(IN_FORCE) or Order(0, None)

    def propose(self, desired: Desired | None) -> int:
        """Ask every worker whether it could; gives the proposal's number. None has them forget the one before."""
        number = max(self.number(PROPOSED), self.number(IN_FORCE)) + 1
        self._write(PROPOSED, desired, number)
        return number

    def enact(self, desired: Desired, number: int) -> None:
        """Put in force."""
        self._write(IN_FORCE, desired, number)

    def _write(self, block: int, desired: Desired | None, number: int) -> None:
        content = b"" if desired is None else msgspec.json.encode(desired)
        start = block * _BLOCK_BYTES
        self._memory[start + _BLOCK.size : start + _BLOCK.size + len(content)] = content
        _BLOCK.pack_into(self._memory, start, len(content), _checksum(content, number), number)

    def clear(self, slot: int) -> None:
        """Forget what the slot's last worker said."""
        _ANSWER.pack_into(self._memory, self._place(slot), 0, 0, 0, b"")

    def answer(self, slot: int, number: int, verdict: Verdict) -> None:
        """Answer a proposal."""
        reason = verdict.reason.encode()[: REASON_BYTES // 2].decode(errors="ignore")
        content = msgspec.json.encode(Verdict(verdict.problem, reason))[:REASON_BYTES]
        applied, _, _, _ = self._answer(slot)
        _ANSWER.pack_into(self._memory, self._place(slot), applied, number, len(content), content)

    def verdict(self, slot: int, number: int) -> Verdict | None:
        """A worker's answer to the proposal `number`; none until it is there."""
        _, answered, length, content = self._answer(slot)
        return msgspec.json.decode(content[:length], type=Verdict) if answered == number else None

    def confirm(self, slot: int, number: int) -> None:
        """Say that a worker acts upon what is in force."""
        _, *answer = self._answer(slot)
        _ANSWER.pack_into(self._memory, self._place(slot), number, *answer)

    def confirmed(self, slot: int) -> int:
        """Number of what a worker acts upon."""
        return self._answer(slot)[0]

    def _answer(self, slot: int) -> tuple[int, int, int, bytes]:
        applied, answered, length, content = _ANSWER.unpack_from(self._memory, self._place(slot))
        return applied, answered, length, content

    def _place(self, slot: int) -> int:
        return 2 * _BLOCK_BYTES + slot * _ANSWER.size


def _checksum(content: bytes, number: int) -> int:
    return zlib.crc32(content, number & 0xFFFFFFFF) if number else 0


def _anonymous_file() -> int:
    """A file without a name, for its lock only: record locks belong to a process, whoever opened the file."""
    create = getattr(os, "memfd_create", None)
    if create is not None:
        return int(create("modelport-orders"))
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
