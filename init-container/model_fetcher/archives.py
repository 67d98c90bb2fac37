"""Archives that are unpacked without trust: only plain files, only below their folder, only so many and so large."""

import gzip
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from model_artifact.delivery import ChecksumMismatch, DiskFull, ErrorTable, RefusedByPolicy, translated
from model_artifact.errors import PathRefused
from model_artifact.paths import refuse_collisions, safe_join, safe_relative
from model_fetcher.contents import MAX_FILES

MAX_RATIO = 200
"""Unpacked bytes for each packed one: real weights stay far below, bombs are built to stay far above."""
HARMLESS = 64 << 20
"""Unpacked bytes that are accepted whatever their ratio."""
CHUNK = 1 << 20
LARGEST_HEADER = 1 << 20
"""Bytes of one header that a tar may have; a forged one would be read into memory whole."""
FOREIGN = "__MACOSX/"
"""What the Finder adds to archives, of no use elsewhere."""

DAMAGED = (ChecksumMismatch, "is damaged, or no archive of that kind ({error})")
ERRORS: ErrorTable = {
    tarfile.TarError: DAMAGED,
    zipfile.BadZipFile: DAMAGED,
    gzip.BadGzipFile: DAMAGED,
    zlib.error: DAMAGED,
    struct.error: DAMAGED,
    EOFError: DAMAGED,
    UnicodeError: DAMAGED,
    FileExistsError: (RefusedByPolicy, "holds one path twice"),
    NotADirectoryError: (RefusedByPolicy, "holds one path as a file and as a folder"),
    RuntimeError: (RefusedByPolicy, "cannot be unpacked ({error})"),
    PathRefused: (RefusedByPolicy, "{error}"),
}


@dataclass(frozen=True)
class _Member:
    """Something in an archive: `special` says what it is where that is neither file nor folder; `open` reads a file."""

    path: str
    is_folder: bool
    special: str
    open: Callable[[], IO[bytes] | None]


def archive_stem(filename: str) -> str:
    """The name without an archive's ending; empty where it has none."""
    ending = next((suffix for suffix in READERS if filename.lower().endswith(suffix)), "")
    return filename[: -len(ending)] if ending else ""


def unpack(archive: Path, folder: Path, free: Callable[[], int]) -> Path:
    """Unpack the files of an archive.

    Args:
        archive: a tar, compressed or not, or a zip.
        folder: is made.
        free: tells how many bytes there is room for.

    Returns:
        The folder of what was packed: `folder`, or the only one in it where an archive wraps everything into one.

    Raises:
        RefusedByPolicy: paths that lead out, links, devices, more files or bytes than any model has.
        ChecksumMismatch: it is damaged.
        DiskFull: there is no room for all of it.
    """
    folder.mkdir(parents=True)
    budget = _Budget(archive, free())
    reader = next(reader for suffix, reader in READERS.items() if archive.name.lower().endswith(suffix))
    seen: list[str] = []
    with translated(ERRORS, archive.name), reader(archive) as members:
        for number, member in enumerate(members):
            if number >= MAX_FILES:
                raise RefusedByPolicy(f"{archive.name} holds more than {MAX_FILES} files")
            if member.special:
                raise RefusedByPolicy(f"{archive.name}: {member.path[:80]!r} is {member.special}, no plain file")
            path = member.path.removeprefix("./").rstrip("/")
            if path in {"", "."} or member.path.startswith(FOREIGN):
                continue
            target = safe_join(folder, safe_relative(path))
            if not member.is_folder:
                seen.append(path)
                _write(member, target, budget)
        refuse_collisions(seen)
    return _unwrapped(folder)


class _Budget:
    """How many bytes may still be written."""

    def __init__(self, archive: Path, free: int) -> None:
        self._name, self._free = archive.name, free
        self._most = max(HARMLESS, archive.stat().st_size * MAX_RATIO)
        self._written = 0

    def spend(self, size: int) -> None:
        self._written += size
        if self._written > self._most:
            raise RefusedByPolicy(f"{self._name} unpacks to more than {MAX_RATIO} times its size, as bombs do")
        if self._written > self._free:
            raise DiskFull(f"{self._name} unpacks to more than the {self._free / 1e6:.1f} MB that are free")


def _write(member: _Member, target: Path, budget: _Budget) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source = member.open()
    if source is None:
        return
    with source, target.open("xb") as file:
        while chunk := source.read(CHUNK):
            budget.spend(len(chunk))
            file.write(chunk)


def _unwrapped(folder: Path) -> Path:
    while len(entries := list(folder.iterdir())) == 1 and entries[0].is_dir():
        folder = entries[0]
    return folder


class _Bounded:
    """A tar whose headers are read in one go each, however large they say they are."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= LARGEST_HEADER:
            raise RefusedByPolicy(f"a header of it is said to be {size} bytes large")
        return self._file.read(size)


@contextmanager
def _tar(archive: Path) -> Iterator[Iterator[_Member]]:
    with archive.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        plain = gzip.GzipFile(fileobj=file) if packed else file
        with tarfile.TarFile(fileobj=_Bounded(plain)) as tar:  # type: ignore[arg-type]
            yield (
                _Member(
                    info.name, info.isdir(), "" if info.isreg() or info.isdir() else _kind(info), _opener(tar, info)
                )
                for info in tar
            )


def _kind(info: tarfile.TarInfo) -> str:
    return f"a link to {info.linkname[:80]!r}" if info.issym() or info.islnk() else "a device or pipe"


def _opener(tar: tarfile.TarFile, info: tarfile.TarInfo) -> Callable[[], IO[bytes] | None]:
    return lambda: tar.extractfile(info)


@contextmanager
def _zip(archive: Path) -> Iterator[Iterator[_Member]]:
    with zipfile.ZipFile(archive) as zipped:
        yield (
            _Member(info.filename, info.is_dir(), _special(info), lambda info=info: zipped.open(info))  # type: ignore[misc]
            for info in zipped.infolist()
        )


def _special(info: zipfile.ZipInfo) -> str:
    kind = stat.S_IFMT(info.external_attr >> 16)
    return "" if kind in {0, stat.S_IFREG, stat.S_IFDIR} else "a link or device"


READERS = {".tar.gz": _tar, ".tgz": _tar, ".tar": _tar, ".zip": _zip}
"""Endings and what reads them."""
