"""Publishing: content is staged inside the root and appears under its name by one rename, or not at all."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from model_artifact.bare import BARE_VERSION, bare_bundle, lone_model, named_models
from model_artifact.bundle import Bundle, open_bundle, verify
from model_artifact.digests import Tell, same_digest, silent
from model_artifact.errors import AlreadyPublished, ArtifactError, DigestMismatch, PathRefused
from model_artifact.locks import locked
from model_artifact.manifest import MANIFEST, model_kind
from model_artifact.paths import check_name, is_name, safe_join, version_key

STAGING = ".staging"
"""Folder inside the root: a mount point cannot be renamed over, and a rename must not cross file systems."""


def place(root: Path, name: str, version: str) -> Path:
    """`<root>/<name>/<version>`. Raises PathRefused for a bad name or version, and for links that lead elsewhere."""
    return safe_join(root, f"{check_name(name)}/{check_name(version, 'version')}")


@contextmanager
def staging(root: Path) -> Iterator[Path]:
    """Give an empty folder inside `root` that is gone afterwards unless it was published."""
    sweep(root)
    work = root / STAGING / secrets.token_hex(8)
    try:
        with locked(work.with_suffix(".lock")):
            try:
                folder = work / "bundle"
                folder.mkdir(parents=True)
                yield folder
            finally:
                shutil.rmtree(work, ignore_errors=True)
    finally:
        _drop_if_empty(work.parent)


def sweep(root: Path) -> None:
    """Remove what killed runs left in staging; a lock, which dies with its holder, tells them from those that live."""
    for lock in in_staging(root, ".lock"):
        with suppress(OSError), locked(lock, wait=False):
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
    _drop_if_empty(root / STAGING)


def in_staging(root: Path, *suffixes: str) -> list[Path]:
    """What waits in staging with one of these suffixes; its last user may take the folder away at any moment."""
    try:
        return [entry for entry in (root / STAGING).iterdir() if entry.name.endswith(suffixes)]
    except FileNotFoundError:
        return []


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
        _move(staged, target)
        _sync(target.parent)
        _sync(root)
    return target


@contextmanager
def exclusive(root: Path) -> Iterator[None]:
    """Be the only one who changes what is published below `root`, across processes."""
    with locked(root / STAGING / "publish.lock"):
        yield


def published_models(root: Path) -> list[str]:
    """Names of the models below `root`; what could not be one (`lost+found`, `.staging`) is passed over unseen."""
    entries = list(root.iterdir())
    names = {entry.name for entry in entries} | {entry.stem for entry in entries if model_kind(entry.name)}
    return sorted(name for name in names if is_name(name) and published_versions(root, name))


def published_versions(root: Path, name: str) -> list[str]:
    """Versions of a model below `root`, lowest first: folders with a manifest, and bare files (see `bare`)."""
    folder = root / check_name(name)
    if not folder.is_dir():
        return [BARE_VERSION] if named_models(root, name) else []
    found = [entry for entry in folder.iterdir() if is_name(entry.name)]
    return sorted((each.name for each in found if (each / MANIFEST).is_file() or lone_model(each)), key=version_key)


def default_version(root: Path, name: str, digest: str | None = None) -> str | None:
    """The highest version, or the one that has the digest, if one has; null when there is none."""
    versions = published_versions(root, name)
    if digest is not None:
        for version in reversed(versions):
            if published_file(root, name, version) is None and _has_digest(root / name / version, digest):
                return version
    return versions[-1] if versions else None


def published_file(root: Path, name: str, version: str) -> Path | None:
    """The bare model file that a version is; null for one with a manifest, and for one that is not there.

    Raises:
        PathRefused: the root holds several files of that name, with other endings.
    """
    folder = root / check_name(name)
    if folder.is_dir():
        return lone_model(folder / check_name(version, "version"))
    files = named_models(root, name)
    if len(files) > 1:
        raise PathRefused(f"{root} holds {', '.join(path.name for path in files)}: which one is {name}? Leave only one")
    return files[0] if files else None


def verify_published(
    root: Path, name: str, version: str, expected_digest: str | None = None, tell: Tell = silent
) -> Bundle:
    """Verify a version below `root`, as `verify` does; a bare file gets its manifest in memory.

    Raises:
        ArtifactError: as `verify` and `bare_bundle` do.
    """
    file = published_file(root, name, version)
    if file is None:
        return verify(root / name / version, expected_digest, tell)
    return bare_bundle(file, name, version, expected_digest, tell)


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


def _move(staged: Path, target: Path) -> None:
    if not target.exists():
        staged.rename(target)
        return
    replaced = staged.with_name("replaced")
    target.rename(replaced)
    try:
        staged.rename(target)
    except BaseException:
        replaced.rename(target)
        raise


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


def _has_digest(directory: Path, digest: str) -> bool:
    try:
        return same_digest(open_bundle(directory).digest, digest)
    except ArtifactError:  # whoever serves it will say so
        return False


def _drop_if_empty(folder: Path) -> None:
    with suppress(OSError):  # not there, or another publisher is staging beside us
        folder.rmdir()
