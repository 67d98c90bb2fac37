"""Why a fetch or a push failed: one tree, each with the exit code and reason that machines read.

DeliveryError
├── Usage                 2   flags, settings or URI that make no sense, or a client that is not installed
├── AccessDenied         10   the store or the volume refuses this identity
├── NotFound             11   nothing at the URI
├── Unreachable          12   no answer, a broken answer, or one that stopped midway
├── DiskFull             13   no room at the destination
├── ChecksumMismatch     14   bytes are not the pinned or listed ones
└── RefusedByPolicy      15   unpinned where a pin is required, unsafe paths, or a place that is taken
"""

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from model_artifact.errors import ArtifactError, DigestMismatch


class DeliveryError(Exception):
    """Base of all; its text is a sentence for people. `uri` and `identity` are filled in once they are known.

    `retry_after` are seconds before which the other side does not want to be asked again, where it says so.
    """

    exit_code: ClassVar[int]
    reason: ClassVar[str]
    retryable: bool = False
    """Whether another try may help; false again once trying was given up."""
    resumable: ClassVar[bool] = False
    """Whether the next run may go on from what this one has received."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.uri = ""
        self.identity = ""


class Usage(DeliveryError):
    """What was asked for makes no sense."""

    exit_code = 2
    reason = "Usage"


class AccessDenied(DeliveryError):
    """The store, or the volume, does not let this identity in."""

    exit_code = 10
    reason = "AccessDenied"
    resumable = True


class NotFound(DeliveryError):
    """There is nothing at that place."""

    exit_code = 11
    reason = "NotFound"


class Unreachable(DeliveryError):
    """No complete answer; another try may get one."""

    exit_code = 12
    reason = "Unreachable"
    retryable = True
    resumable = True


class DiskFull(DeliveryError):
    """The volume has no room for the model."""

    exit_code = 13
    reason = "DiskFull"


class ChecksumMismatch(DeliveryError):
    """The bytes are not those that were pinned or listed."""

    exit_code = 14
    reason = "ChecksumMismatch"


class RefusedByPolicy(DeliveryError):
    """It could be delivered, and must not be."""

    exit_code = 15
    reason = "RefusedByPolicy"


ErrorTable = Mapping[type[Exception], tuple[type[DeliveryError], str]]
"""Foreign error to ours and its sentence, where `{error}` is the foreign text; the most specific class wins."""

ARTIFACT_ERRORS: ErrorTable = {
    DigestMismatch: (ChecksumMismatch, "{error}"),
    ArtifactError: (RefusedByPolicy, "{error}"),
}

_VOLUME_FAULTS: dict[int, type[DeliveryError]] = {
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
def writing(place: Path) -> Iterator[None]:
    """Turn the OSErrors of the side that is written to, of which `place` is the root, into ours."""
    try:
        yield
    except OSError as error:
        kind = _VOLUME_FAULTS.get(error.errno or 0, Unreachable)
        raise kind(f"cannot write {error.filename or place}: {error.strerror or error}") from error


@contextmanager
def translated(table: ErrorTable, subject: str = "") -> Iterator[None]:
    """Turn the errors of a table into ours at one boundary; the original stays as the cause.

    Args:
        table: foreign error class to ours and its sentence.
        subject: what the sentence is about; stands before it.
    """
    try:
        yield
    except tuple(table) as error:
        kind, sentence = next(table[each] for each in type(error).__mro__ if each in table)
        text = sentence.format(error=error)
        raise kind(f"{subject}: {text}" if subject else text) from error
