"""A file that the parts of one object arrive in, in any order, and the ledger that lets another run go on.

The ledger lies beside the staged bundle: one line that says of which object, version and size the file is, then the
number of each part that is complete, appended after its bytes were written. A killed process loses nothing that it
wrote; a machine that stopped may, so a ledger counts only until the next boot.
"""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from threading import Condition
from types import TracebackType
from typing import Self

PART = 8 << 20
"""Bytes of a part: some hundred milliseconds of one connection, so that latency does not count."""
READ = 1 << 20
"""Bytes read back at once to be hashed."""
BOOT = Path("/proc/sys/kernel/random/boot_id")


class Landing:
    """The file and which parts of it are complete. `size` is None until it is known."""

    def __init__(self, target: Path, ledger: Path) -> None:
        self._target, self._ledger = target, ledger
        self._changed = Condition()
        self._failure: BaseException | None = None
        self._done: set[int] = set()
        self._descriptor = -1
        self.size: int | None = None
        self.version = ""
        self.parted = self.kept = False
        self.resumed = self._resume()

    def __enter__(self) -> Self:
        flags = os.O_RDWR | os.O_CREAT | (0 if self.resumed else os.O_TRUNC)
        self._descriptor = os.open(self._target, flags, 0o666)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    @property
    def count(self) -> int:
        """Parts, at least one."""
        return max(1, -(-(self.size or 0) // PART)) if self.parted else 1

    @property
    def missing(self) -> list[int]:
        """Parts that are still to come, in order."""
        return [number for number in range(self.count) if number not in self._done]

    @property
    def landed(self) -> int:
        """Bytes of complete parts."""
        return sum(self.stop(number) - self.start(number) for number in list(self._done))

    def start(self, number: int) -> int:
        """Where a part starts in the file."""
        return number * PART

    def stop(self, number: int) -> int:
        """Where a part ends in the file, once the size is known."""
        size = self.size or 0
        return min(size, self.start(number + 1)) if self.parted else size

    def begin(self, size: int | None, version: str, *, parted: bool) -> None:
        """The object is known: make room for all of it, and a ledger if parts of it may come one by one."""
        self.size, self.version, self.parted = size, version, parted
        if parted and not self.resumed:
            self._ledger.parent.mkdir(parents=True, exist_ok=True)
            self._ledger.write_text(f"{json.dumps(self._header())}\n")
            os.ftruncate(self._descriptor, size or 0)

    def write(self, at: int, data: bytes) -> None:
        """Put bytes at their place. Raises what `fail` was told, for then nothing is worth writing any more."""
        if self._failure is not None:
            raise self._failure
        view = memoryview(data)
        while view:
            written = os.pwrite(self._descriptor, view, at)
            view, at = view[written:], at + written

    def read(self, at: int, size: int) -> bytes:
        """Bytes that have arrived."""
        return os.pread(self._descriptor, size, at)

    def complete(self, number: int) -> None:
        """A part is there."""
        if self.parted:
            with self._ledger.open("a") as ledger:
                ledger.write(f"{number}\n")
        with self._changed:
            self._done.add(number)
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """The file will not become complete."""
        with self._changed:
            self._failure = self._failure or error
            self._changed.notify_all()

    def wait(self, number: int) -> None:
        """Until a part is there. Raises what `fail` was told."""
        with self._changed:
            self._changed.wait_for(lambda: number in self._done or self._failure is not None)
            if self._failure is not None:
                raise self._failure

    def keep(self) -> None:
        """It is complete: onto the disk with it, and the ledger goes."""
        os.ftruncate(self._descriptor, self.size or 0)
        os.fsync(self._descriptor)
        self.forget()
        self.kept = True

    def forget(self) -> None:
        """Without its ledger, the next run begins the file anew."""
        self._ledger.unlink(missing_ok=True)

    def _header(self) -> dict[str, object]:
        return {"size": self.size, "version": self.version, "part": PART, "boot": _boot()}

    def _resume(self) -> bool:
        """Take up what a ledger says, if it is about the file that is there."""
        with suppress(OSError, ValueError, TypeError, LookupError):
            first, *numbers = self._ledger.read_text().split("\n")[:-1]  # what has no end was not written whole
            header = json.loads(first)
            self.size, self.version, self.parted = int(header["size"]), str(header["version"]), True
            if header == self._header() and self._target.stat().st_size == self.size:
                self._done = {int(number) for number in numbers if number.isdigit() and int(number) < self.count}
                return True
        self.size, self.version, self.parted = None, "", False
        self.forget()
        return False


def _boot() -> str:
    try:
        return BOOT.read_text().strip()
    except OSError:
        return ""


class Digest:
    """Hashes of a file whose bytes come in order: fed while they arrive, or read back where they came before."""

    def __init__(self) -> None:
        self._algorithms = ["sha256"]
        self._restart()

    def also(self, algorithm: str) -> None:
        """Take another hash too; nothing may have been fed yet."""
        self._algorithms.append(algorithm)
        self._restart()

    def feed(self, at: int, data: bytes) -> None:
        """Hash what comes next; what starts at 0 starts everything anew, and what comes too early is left for later."""
        if at == 0:
            self._restart()
        if at == self.size:
            for each in self._hashes.values():
                each.update(data)
            self.size += len(data)

    def catch_up(self, landing: Landing, stop: int) -> None:
        """Hash what has arrived, up to `stop`."""
        while self.size < stop:
            self.feed(self.size, landing.read(self.size, min(READ, stop - self.size)))

    def hex(self, algorithm: str) -> str:
        """Hex digits so far."""
        return self._hashes[algorithm].hexdigest()

    def _restart(self) -> None:
        self.size = 0
        self._hashes = {name: hashlib.new(name, usedforsecurity=name != "md5") for name in self._algorithms}
