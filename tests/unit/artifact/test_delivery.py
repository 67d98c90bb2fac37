"""What goes wrong on the way, told alike by everything that fetches or pushes."""

import errno
from pathlib import Path

import pytest

from model_artifact.delivery import (
    ARTIFACT_ERRORS,
    AccessDenied,
    ChecksumMismatch,
    DeliveryError,
    DiskFull,
    ErrorTable,
    RefusedByPolicy,
    Unreachable,
    Usage,
    translated,
    writing,
)
from model_artifact.errors import DigestMismatch, PathRefused

ROOT = Path("/models")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.ENOSPC, DiskFull),
        (errno.EDQUOT, DiskFull),
        (errno.EROFS, AccessDenied),
        (errno.EEXIST, Usage),
        (errno.EIO, Unreachable),
    ],
)
def test_what_a_disk_says(code: int, kind: type[DeliveryError]) -> None:
    with pytest.raises(kind, match=r"^cannot write /models: no$"), writing(ROOT):
        raise OSError(code, "no")
    with pytest.raises(kind, match=r"^cannot write /models/churn: no$"), writing(ROOT):
        raise OSError(code, "no", "/models/churn")


@pytest.mark.parametrize(
    ("error", "kind"), [(DigestMismatch("other"), ChecksumMismatch), (PathRefused("evil"), RefusedByPolicy)]
)
def test_the_most_specific_class_of_a_table_wins(error: Exception, kind: type[DeliveryError]) -> None:
    with pytest.raises(kind, match=f"^gs://b/k: {error}$") as caught, translated(ARTIFACT_ERRORS, "gs://b/k"):
        raise error
    assert caught.value.__cause__ is error
    with pytest.raises(kind, match=f"^{error}$"), translated(ARTIFACT_ERRORS):
        raise error


def test_what_no_table_names_stays_as_it_is() -> None:
    table: ErrorTable = {KeyError: (Usage, "no {error}")}
    with pytest.raises(ValueError, match=r"^this$"), translated(table):
        raise ValueError("this")


def test_exit_codes_and_reasons_are_told_apart() -> None:
    kinds = DeliveryError.__subclasses__()
    assert sorted(kind.exit_code for kind in kinds) == [2, 10, 11, 12, 13, 14, 15]
    assert {kind.reason for kind in kinds} == {kind.__name__ for kind in kinds}
