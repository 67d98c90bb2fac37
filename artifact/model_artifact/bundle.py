"""A bundle on disk: reading its manifest and proving that every byte is the one that was packed."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from model_artifact.digests import Tell, digest_bytes, parse_digest, same_digest, sha256_file, silent
from model_artifact.errors import DigestMismatch, ManifestInvalid, PathRefused
from model_artifact.manifest import MANIFEST, MAX_BYTES, FileEntry, Manifest, parse_manifest
from model_artifact.paths import safe_join

SIGNATURE_PREFIX = f"{MANIFEST}."
"""Signatures lie beside the manifest under names of this prefix, outside the digest."""
LOST = "lost+found"
"""A folder that file systems keep at their top, which nobody but root may look into."""


@dataclass(frozen=True)
class Bundle:
    """A directory, its manifest, and the digest (`sha256:...` of the manifest's exact bytes) that names it all."""

    directory: Path
    manifest: Manifest
    digest: str

    def path(self, relative: str) -> Path:
        """Where a listed file lies."""
        return safe_join(self.directory, relative)


def open_bundle(directory: Path, expected_digest: str | None = None) -> Bundle:
    """Read the manifest only; file contents are not looked at.

    Args:
        directory: holds `manifest.json`.
        expected_digest: when given, the manifest's bytes must have it.

    Raises:
        ManifestInvalid: no manifest, or a broken one.
        DigestMismatch: another digest than expected.
        PathRefused: the manifest is a link, or no regular file, or lists a path that is not safe.
    """
    path = safe_join(directory, MANIFEST)
    try:
        info = path.lstat()
        _refuse_special(path, info)
        if info.st_size > MAX_BYTES:
            raise ManifestInvalid(f"{path} is larger than {MAX_BYTES >> 20} MiB")
        data = path.read_bytes()
    except OSError as error:
        raise ManifestInvalid(f"{directory} is not a bundle: {MANIFEST} cannot be read ({error.strerror})") from error
    digest = digest_bytes(data)
    if expected_digest is not None and not same_digest(digest, expected_digest):
        raise DigestMismatch(f"{path}: expected {parse_digest(expected_digest)}, found {digest}")
    return Bundle(directory, parse_manifest(data), digest)


def verify(directory: Path, expected_digest: str | None = None, tell: Tell = silent) -> Bundle:
    """Read the manifest and hash every file it lists.

    Args:
        directory: the bundle.
        expected_digest: pin of the whole bundle, `sha256:<hex>`.
        tell: hears of the bytes as they are hashed.

    Returns:
        The bundle, all of whose bytes are as listed at the time of reading.

    Raises:
        ManifestInvalid: no manifest or a broken one.
        DigestMismatch: naming the first file whose size or sha256 differs, or that is missing or not listed.
        PathRefused: a link or special file in the tree.
    """
    bundle = open_bundle(directory, expected_digest)
    for entry in bundle.manifest.files:
        try:
            _verify_file(bundle.path(entry.path), entry, tell)
        except OSError as error:
            raise DigestMismatch(
                f"{directory / entry.path} is listed in {MANIFEST} but cannot be read ({error.strerror})"
            ) from error
    _refuse_unlisted(bundle)
    return bundle


def _verify_file(path: Path, entry: FileEntry, tell: Tell) -> None:
    info = path.lstat()
    _refuse_special(path, info)
    if info.st_size != entry.size:
        raise DigestMismatch(f"{path}: expected {entry.size} bytes, found {info.st_size}")
    actual = sha256_file(path, tell)
    if not same_digest(actual, entry.sha256):
        raise DigestMismatch(f"{path}: expected sha256 {entry.sha256}, found {actual}")


def _refuse_special(path: Path, info: os.stat_result) -> None:
    if not stat.S_ISREG(info.st_mode):
        raise PathRefused(f"{str(path)!r} is not a regular file")


def _refuse_unlisted(bundle: Bundle) -> None:
    listed = {entry.path for entry in bundle.manifest.files} | {MANIFEST}
    try:
        found = set(_walk(bundle.directory))
    except OSError as error:
        raise DigestMismatch(f"{error.filename!r} cannot be looked into ({error.strerror})") from error
    for relative in sorted(found - listed):
        if "/" in relative or not relative.startswith(SIGNATURE_PREFIX):
            raise DigestMismatch(
                f"{bundle.directory}: {relative!r} is not listed in {MANIFEST}: delete it or pack again"
            )


def _walk(directory: Path) -> Iterator[str]:
    for folder, subfolders, names in os.walk(directory, onerror=_raise):
        base = Path(folder)
        if base == directory and LOST in subfolders:
            subfolders.remove(LOST)
        for name in subfolders:
            if (base / name).is_symlink():
                raise PathRefused(f"{str(base / name)!r} is a symbolic link")
        for name in names:
            _refuse_special(base / name, (base / name).lstat())
            yield (base / name).relative_to(directory).as_posix()


def _raise(error: OSError) -> None:
    raise error
