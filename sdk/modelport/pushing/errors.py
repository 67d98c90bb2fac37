"""Why a push failed: one tree, with the exit codes that fetching uses for the same reasons.

PushError
├── Usage           2   a URI that makes no sense, or a scheme that cannot be written or whose client is missing
├── AccessDenied   10   the store refuses this identity, or there is none
├── NotFound       11   no such bucket
├── Unreachable    12   no answer, after all tries
├── DiskFull       13   no room at the destination
└── Taken          15   other content is there under the same name and version
"""

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar


class PushError(Exception):
    """Base of all; its text is a sentence for people."""

    exit_code: ClassVar[int] = 1


class Usage(PushError):
    """What was asked for makes no sense."""

    exit_code = 2


class AccessDenied(PushError):
    """The store does not let this identity in."""

    exit_code = 10


class NotFound(PushError):
    """There is no such bucket."""

    exit_code = 11


class Unreachable(PushError):
    """No useful answer from the store."""

    exit_code = 12


class DiskFull(PushError):
    """The destination has no room."""

    exit_code = 13


class Taken(PushError):
    """The place holds other content."""

    exit_code = 15


ErrorTable = Mapping[type[Exception], tuple[type[PushError], str]]
"""Foreign error to ours and its sentence, where `{error}` is the foreign text; the most specific class wins."""

_VOLUME_FAULTS: dict[int, type[PushError]] = {
    errno.ENOSPC: DiskFull,
    errno.EDQUOT: DiskFull,
    errno.EFBIG: DiskFull,
    errno.EACCES: AccessDenied,
    errno.EPERM: AccessDenied,
    errno.EROFS: AccessDenied,
    errno.ENOTDIR: Usage,
    errno.EEXIST: Usage,
}


@contextmanager
def translated(table: ErrorTable, subject: str) -> Iterator[None]:
    """Turn a client's errors into ours; `subject` stands before the sentence, the original stays as the cause."""
    try:
        yield
    except tuple(table) as error:
        kind, sentence = next(table[each] for each in type(error).__mro__ if each in table)
        raise kind(f"{subject}: {sentence.format(error=error)}") from error


@contextmanager
def writing(place: object) -> Iterator[None]:
    """Turn the OSErrors of a destination on a disk into ours."""
    try:
        yield
    except OSError as error:
        kind = _VOLUME_FAULTS.get(error.errno or 0, Unreachable)
        raise kind(f"cannot write {error.filename or place}: {error.strerror or error}") from error
