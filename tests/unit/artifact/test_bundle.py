import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_artifact.bundle import open_bundle, verify
from model_artifact.digests import digest_bytes
from model_artifact.errors import ArtifactError, DigestMismatch, ManifestInvalid, PathRefused
from model_artifact.manifest import MAX_BYTES

CONTENTS = {"model.onnx": b"weights", "deep/er/golden.json": b"{}", "empty": b""}
Change = Callable[[Path], object]


@pytest.fixture
def bundle(make_bundle: Callable[..., Path]) -> Path:
    return make_bundle(CONTENTS)


@contextmanager
def unprivileged() -> Iterator[None]:
    """Drop to a user for whom file modes count, if this process is root."""
    before = os.geteuid()
    try:
        if before == 0:
            os.seteuid(65534)
        yield
    finally:
        os.seteuid(before)


def test_an_untouched_bundle_verifies(bundle: Path) -> None:
    found = verify(bundle)
    assert found.digest == digest_bytes((bundle / "manifest.json").read_bytes())
    assert verify(bundle, found.digest.removeprefix("sha256:").upper()) == found
    assert open_bundle(bundle, found.digest) == found
    assert found.path("deep/er/golden.json").read_bytes() == b"{}"


@pytest.fixture(scope="module")
def shared(make_bundle: Callable[..., Path]) -> tuple[Path, str]:
    folder = make_bundle(CONTENTS)
    return folder, verify(folder).digest


@given(data=st.data(), bit=st.integers(0, 7))
def test_any_changed_byte_is_caught_by_a_pinned_digest(shared: tuple[Path, str], data: st.DataObject, bit: int) -> None:
    folder, digest = shared
    path = folder / data.draw(st.sampled_from(["manifest.json", "model.onnx", "deep/er/golden.json"]))
    original = path.read_bytes()
    position = data.draw(st.integers(0, len(original) - 1))
    changed = bytearray(original)
    changed[position] ^= 1 << bit
    path.write_bytes(changed)
    try:
        with pytest.raises(DigestMismatch):
            verify(folder, digest)
    finally:
        path.write_bytes(original)
    verify(folder, digest)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda d: (d / "model.onnx").write_bytes(b"weightz"), DigestMismatch, r"model\.onnx: expected sha256"),
        (lambda d: (d / "model.onnx").write_bytes(b"weights+"), DigestMismatch, "expected 7 bytes, found 8"),
        (lambda d: (d / "empty").unlink(), DigestMismatch, "empty is listed .* cannot be read .No such file"),
        (lambda d: (d / "extra.pkl").write_bytes(b""), DigestMismatch, r"'extra\.pkl' is not listed"),
        (lambda d: (d / "deep/extra").write_bytes(b""), DigestMismatch, "'deep/extra' is not listed"),
        (lambda d: (d / "MANIFEST.json").write_bytes(b""), DigestMismatch, r"'MANIFEST\.json' is not listed"),
        (lambda d: (d / "two\nlines").write_bytes(b""), DigestMismatch, r"'two\\nlines' is not listed"),
        (lambda d: (d / "link").symlink_to("model.onnx"), PathRefused, "link' is not a regular file"),
        (lambda d: (d / "folder").symlink_to("/etc"), PathRefused, "folder' is a symbolic link"),
        (lambda d: os.mkfifo(d / "pipe"), PathRefused, "pipe' is not a regular file"),
        (lambda d: os.mkfifo(d / "manifest.json.pipe"), PathRefused, r"manifest\.json\.pipe' is not a regular"),
        (lambda d: (d / "manifest.json").unlink(), ManifestInvalid, "is not a bundle"),
        (lambda d: os.truncate(d / "manifest.json", MAX_BYTES + 1), ManifestInvalid, "larger than 16 MiB"),
        (lambda d: os.truncate(d / "manifest.json", 10), ManifestInvalid, "not valid JSON"),
    ],
)
def test_what_is_wrong_with_a_bundle_is_said(
    bundle: Path, change: Change, error: type[ArtifactError], says: str
) -> None:
    change(bundle)
    with pytest.raises(error, match=says):
        verify(bundle)


@pytest.mark.parametrize("place", ["manifest.json", "model.onnx", "deep/er/golden.json"])
@pytest.mark.parametrize("special", [lambda p: p.symlink_to("/dev/null"), os.mkfifo, Path.mkdir])
def test_nothing_but_a_regular_file_is_read(bundle: Path, place: str, special: Change) -> None:
    (bundle / place).unlink()
    special(bundle / place)
    with pytest.raises(PathRefused):
        verify(bundle)


def test_a_file_in_the_place_of_a_folder_is_caught(bundle: Path) -> None:
    (bundle / "deep/er/golden.json").unlink()
    (bundle / "deep/er").rmdir()
    (bundle / "deep/er").write_bytes(b"")
    with pytest.raises(DigestMismatch, match="cannot be read"):
        verify(bundle)


def test_a_link_in_the_place_of_a_folder_is_refused(bundle: Path) -> None:
    (bundle / "deep").rename(bundle.parent / f"{bundle.name}-elsewhere")
    (bundle / "deep").symlink_to(bundle.parent / f"{bundle.name}-elsewhere")
    with pytest.raises(PathRefused, match="'deep' is a symbolic link"):
        verify(bundle)


def test_signatures_lie_beside_the_manifest_and_nowhere_else(bundle: Path) -> None:
    (bundle / "manifest.json.sig").write_bytes(b"signature")
    (bundle / "manifest.json.sigstore.json").write_bytes(b"{}")
    verify(bundle)
    hiding = bundle / "manifest.json.d"
    hiding.mkdir()
    verify(bundle)
    (hiding / "model.pkl").write_bytes(b"")
    with pytest.raises(DigestMismatch, match=r"'manifest\.json\.d/model\.pkl' is not listed"):
        verify(bundle)


@pytest.mark.parametrize(("unreadable", "error"), [("manifest.json", ManifestInvalid), ("model.onnx", DigestMismatch)])
def test_a_file_that_may_not_be_read_is_named(bundle: Path, unreadable: str, error: type[ArtifactError]) -> None:
    _open_to_all(bundle)
    (bundle / unreadable).chmod(0)
    with unprivileged(), pytest.raises(error, match=r"Permission denied"):
        verify(bundle)


def test_nothing_hides_in_a_folder_that_may_not_be_read(bundle: Path) -> None:
    _open_to_all(bundle)
    (bundle / "hidden").mkdir(mode=0)
    with unprivileged(), pytest.raises(DigestMismatch, match=r"hidden' cannot be looked into .Permission denied"):
        verify(bundle)


def _open_to_all(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755)
    for parent in list(folder.parents)[:2]:
        parent.chmod(0o755)


def test_another_digest_than_the_pinned_one_is_refused(bundle: Path) -> None:
    with pytest.raises(DigestMismatch, match=r"expected sha256:0+, found sha256:"):
        verify(bundle, "0" * 64)
    with pytest.raises(DigestMismatch, match="64 hexadecimal digits"):
        verify(bundle, "")


def test_the_folder_itself_may_be_reached_through_a_link(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(bundle)
    assert verify(tmp_path / "link").digest == verify(bundle).digest


def test_a_bundle_gives_no_path_outside_itself(bundle: Path) -> None:
    with pytest.raises(PathRefused):
        verify(bundle).path("../x")
