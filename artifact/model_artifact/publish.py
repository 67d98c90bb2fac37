"""Publishing: content is staged inside the root and appears under its name by one rename, or not at all."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from model_artifact.bundle import verify
from model_artifact.digests import same_digest
from model_artifact.errors import AlreadyPublished, ArtifactError, DigestMismatch
from model_artifact.locks import locked
from model_artifact.manifest import MANIFEST
from model_artifact.paths import check_name, version_key

STAGING = ".staging"
"""Folder inside the root: a mount point cannot be renamed over, and a rename must not cross file systems."""


def place(root: Path, name: str, version: str) -> Path:
    """`<root>/<name>/<version>`. Raises PathRefused for a bad name or version."""
    return root / check_name(name) / check_name(version, "version")


@contextmanager
def staging(root: Path) -> Iterator[Path]:
    """Give an empty folder inside `root` that is gone afterwards unless it was published.

    What killed runs left behind is removed first; a lock held while staging tells them from runs that still live.
    """
    parent = root / STAGING
    work = parent / secrets.token_hex(8)
    try:
        with locked(_lock_of(work)):
            _sweep(parent)
            try:
                folder = work / "bundle"
                folder.mkdir(parents=True)
                yield folder
            finally:
                shutil.rmtree(work, ignore_errors=True)
    finally:
        with suppress(OSError):  # another publisher is staging beside us
            parent.rmdir()


def publish(staged: Path, root: Path, *, replace: bool = False) -> Path:
    """Verify the staged bundle, make it durable and rename it to its place.

    Args:
        staged: a complete bundle in the folder that `staging(root)` gave.
        root: the model root.
        replace: take the place of other content under the same name and version.

    Returns:
        `<root>/<name>/<version>`; when the same bundle is there already, that one is kept. One whose files no longer
        match its own manifest is damaged and always replaced.

    Raises:
        AlreadyPublished: the place holds other content and `replace` is false.
        ArtifactError: the staged bundle does not verify.
    """
    bundle = verify(staged)
    target = place(root, bundle.manifest.name, bundle.manifest.version)
    sync_tree(staged)
    with exclusive(root):
        if target.exists() and _keep(target, bundle.digest, replace=replace):
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            target.rename(staged.with_name("replaced"))
        staged.rename(target)
        _sync(target.parent)
    return target


@contextmanager
def exclusive(root: Path) -> Iterator[None]:
    """Be the only one who changes what is published below `root`, across processes."""
    with locked(root / STAGING / "publish.lock"):
        yield


def published_versions(root: Path, name: str) -> list[str]:
    """Versions of a model below `root`, lowest first; folders without a manifest do not count."""
    folder = root / check_name(name)
    if not folder.is_dir():
        return []
    found = [entry.name for entry in folder.iterdir() if (entry / MANIFEST).is_file()]
    return sorted(found, key=version_key)


def sync_tree(folder: Path) -> None:
    """Fsync every file and folder below, so that a crash after the rename cannot lose content."""
    for current, _, names in os.walk(folder):
        for name in names:
            _sync(Path(current) / name)
        _sync(Path(current))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _keep(target: Path, digest: str, *, replace: bool) -> bool:
    try:
        if same_digest(verify(target).digest, digest):
            return True
    except DigestMismatch:
        return False
    except ArtifactError as error:
        if not replace:
            raise AlreadyPublished(f"{target} exists and is no bundle ({error}); replace it on purpose") from error
    if not replace:
        raise AlreadyPublished(f"{target} exists with other content; choose a new version, or replace it on purpose")
    return False


def _lock_of(work: Path) -> Path:
    return work.with_name(f"{work.name}.lock")


def _sweep(parent: Path) -> None:
    for work in [entry for entry in parent.iterdir() if entry.is_dir()]:
        with suppress(BlockingIOError), locked(_lock_of(work), wait=False):
            shutil.rmtree(work, ignore_errors=True)
