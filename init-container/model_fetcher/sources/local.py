"""`file://` and plain paths: mounts, and folders that stand in for a bucket."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from model_artifact.paths import safe_join
from model_fetcher.errors import (
    ARTIFACT_ERRORS,
    AccessDenied,
    ErrorTable,
    Misconfigured,
    NotFound,
    RefusedByPolicy,
    translated,
)
from model_fetcher.sources.base import CHUNK, Content, Timeouts
from model_fetcher.uris import local_path

ERRORS: ErrorTable = {
    FileNotFoundError: (NotFound, "does not exist"),
    NotADirectoryError: (NotFound, "does not exist"),
    IsADirectoryError: (NotFound, "is a folder, not a file"),
    PermissionError: (AccessDenied, "may not be read"),
    OSError: (Misconfigured, "{error}"),
}


@dataclass(frozen=True)
class LocalSource:
    """A file or folder. Links are followed up to the URI itself and refused below it."""

    path: Path

    @property
    def identity(self) -> str:
        """The process's own user."""
        return f"local user {os.getuid()}"

    @property
    def place(self) -> str:
        """The path."""
        return str(self.path)

    @contextmanager
    def open(self, key: str) -> Iterator[Content]:
        """Read a file."""
        with translated(ARTIFACT_ERRORS):
            path = safe_join(self.path, key) if key else self.path
        with translated(ERRORS, str(path)):
            # Not to wait for a writer, should it be a named pipe.
            file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115
        with file:
            info = os.fstat(file.fileno())
            if not stat.S_ISREG(info.st_mode):
                raise RefusedByPolicy(f"{path} is not a regular file")
            yield Content(self._chunks(file.fileno(), path), info.st_size, datetime.fromtimestamp(info.st_mtime, UTC))

    def _chunks(self, descriptor: int, path: Path) -> Iterator[bytes]:
        with translated(ERRORS, str(path)):
            while chunk := os.read(descriptor, CHUNK):
                yield chunk

    def children(self) -> list[str]:
        """Entries of the folder; links are left out, for nothing below them could be read."""
        with translated(ERRORS, str(self.path)):
            return _entries(self.path)

    def neighbours(self) -> list[str]:
        """Entries of the folder that the path should have been in."""
        with translated(ERRORS, str(self.path)):
            return [str(self.path.parent / name) for name in _entries(self.path.parent)]


def _entries(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    entries = [entry for entry in folder.iterdir() if not entry.is_symlink()]
    return sorted(f"{entry.name}/" if entry.is_dir() else entry.name for entry in entries)


def open_source(uri: str, timeouts: Timeouts) -> LocalSource:  # noqa: ARG001 - a path never lets one wait
    """The source of a path or `file://` URI. Raises Usage when it names another host."""
    return LocalSource(Path(local_path(uri)))
