"""`file://` and plain paths: mounts, and folders that stand in for a bucket."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from model_artifact.delivery import (
    ARTIFACT_ERRORS,
    AccessDenied,
    ErrorTable,
    NotFound,
    RefusedByPolicy,
    translated,
)
from model_artifact.paths import safe_join
from model_fetcher.errors import Changed, Misconfigured
from model_fetcher.sources.base import CHUNK, Access, Ask, Content, Entry
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
    def open(self, ask: Ask) -> Iterator[Content]:
        """Read a file."""
        with translated(ARTIFACT_ERRORS):
            path = safe_join(self.path, ask.key) if ask.key else self.path
        with translated(ERRORS, str(path)):
            # Not to wait for a writer, should it be a named pipe.
            file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115
        with file:
            info = os.fstat(file.fileno())
            if not stat.S_ISREG(info.st_mode):
                raise RefusedByPolicy(f"{path} is not a regular file")
            version = _version(info)
            if ask.version and version != ask.version:
                raise Changed(f"{path} changed while it was read")
            modified = datetime.fromtimestamp(info.st_mtime, UTC)
            if ask.known == version:
                yield Content(iter(()), version=version, unchanged=True)
                return
            stop = info.st_size if ask.stop is None else min(ask.stop, info.st_size)
            chunks = _chunks(file.fileno(), path, ask.start, stop)
            yield Content(chunks, ask.start, stop, info.st_size, version, modified)

    def children(self) -> list[str]:
        """Entries of the folder; links are left out, for nothing below them could be read."""
        with translated(ERRORS, str(self.path)):
            return _entries(self.path)

    def objects(self) -> Iterator[Entry]:
        """Files at any depth; links are left out."""
        with translated(ERRORS, str(self.path)):
            for folder, _, names in os.walk(self.path):
                for path in (Path(folder, name) for name in names):
                    if not path.is_symlink():
                        yield Entry(path.relative_to(self.path).as_posix(), path.stat().st_size)

    def neighbours(self) -> list[str]:
        """Entries of the folder that the path should have been in."""
        with translated(ERRORS, str(self.path)):
            return [str(self.path.parent / name) for name in _entries(self.path.parent)]


def _version(info: os.stat_result) -> str:
    return f"{info.st_ino}-{info.st_size}-{info.st_mtime_ns}"


def _chunks(descriptor: int, path: Path, start: int, stop: int) -> Iterator[bytes]:
    version = _version(os.fstat(descriptor))
    with translated(ERRORS, str(path)):
        while chunk := os.pread(descriptor, min(CHUNK, stop - start), start):
            yield chunk
            start += len(chunk)
        if _version(os.fstat(descriptor)) != version:
            raise Changed(f"{path} changed while it was read")


def _entries(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    entries = [entry for entry in folder.iterdir() if not entry.is_symlink()]
    return sorted(f"{entry.name}/" if entry.is_dir() else entry.name for entry in entries)


def open_source(uri: str, access: Access) -> LocalSource:  # noqa: ARG001 - a path is read as the process's own user
    """The source of a path or `file://` URI. Raises Usage when it names another host."""
    return LocalSource(Path(local_path(uri)))
