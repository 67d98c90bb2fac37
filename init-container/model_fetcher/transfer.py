"""Moving bytes: one object into one file, hashed on the way, within the room there is."""

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from model_artifact.digests import HashingWriter, same_digest
from model_artifact.manifest import FileEntry
from model_fetcher.errors import ChecksumMismatch, DiskFull
from model_fetcher.progress import Progress, megabytes
from model_fetcher.retry import Progressed, Retry
from model_fetcher.sources.base import Content, Source


@dataclass(frozen=True)
class Received:
    """What arrived: size in bytes, hex sha256, and when the source says it was changed."""

    size: int
    sha256: str
    modified: datetime | None


def free_bytes(folder: Path) -> int:
    """Room on the file system of `folder`."""
    return shutil.disk_usage(folder).free


@dataclass(frozen=True)
class Transfer:
    """Copies objects of one source; `free` is an argument so that a full disk can be tested."""

    source: Source
    retry: Retry
    progress: Progress
    free: Callable[[Path], int] = free_bytes

    def bundle(self, base: str, entries: Iterable[FileEntry], folder: Path) -> int:
        """Fetch the files that a manifest lists; returns bytes moved.

        Raises:
            DiskFull: before anything moves, when they do not fit.
            ChecksumMismatch: naming the first that is not as listed.
        """
        entries = list(entries)
        self._require_room(sum(entry.size for entry in entries), folder)
        for entry in entries:
            target = folder / entry.path
            target.parent.mkdir(parents=True, exist_ok=True)
            received = self.file(f"{base}{entry.path}", target, limit=entry.size)
            _compare(entry, received)
        return sum(entry.size for entry in entries)

    def file(self, key: str, target: Path, *, limit: int | None = None) -> Received:
        """Fetch one object, from its start at each try.

        Args:
            key: below the source.
            target: written anew.
            limit: bytes after which it cannot be right any more.
        """

        def attempt(progressed: Progressed) -> Received:
            with self.source.open(key) as content:
                if limit is None:
                    self._require_room(content.size or 0, target.parent)
                return self._write(content, target, key or target.name, limit, progressed)

        return self.retry.run(attempt)

    def _write(self, content: Content, target: Path, label: str, limit: int | None, progressed: Progressed) -> Received:
        total = content.size if limit is None else limit
        self.progress.begin(label, total)
        with target.open("wb") as file:
            writer = HashingWriter(file)
            for chunk in content.chunks:
                writer.write(chunk)
                progressed(writer.size)
                self.progress.at(writer.size)
                if limit is not None and writer.size > limit:
                    raise ChecksumMismatch(f"{label}: more than the {limit} bytes that its manifest lists")
        self.progress.end()
        return Received(writer.size, writer.sha256, content.modified)

    def _require_room(self, size: int, folder: Path) -> None:
        free = self.free(folder)
        if size > free:
            raise DiskFull(f"{folder} has {megabytes(free)} free and the model needs {megabytes(size)}")


def _compare(entry: FileEntry, received: Received) -> None:
    if received.size != entry.size:
        raise ChecksumMismatch(f"{entry.path}: expected {entry.size} bytes, received {received.size}")
    if not same_digest(received.sha256, entry.sha256):
        raise ChecksumMismatch(f"{entry.path}: expected sha256 {entry.sha256}, received {received.sha256}")
