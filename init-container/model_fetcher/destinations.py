"""Where a verified bundle goes: below a model root under its name and version, or straight into a folder.

Both stage on their own file system, so that what is staged appears by renames.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from model_artifact.bundle import SIGNATURE_PREFIX, Bundle, open_bundle, verify
from model_artifact.errors import ArtifactError
from model_artifact.manifest import MANIFEST
from model_artifact.paths import safe_join
from model_artifact.publish import STAGING, exclusive, place, publish, sync_tree
from model_fetcher.errors import RefusedByPolicy


class Destination(Protocol):
    """A place that takes bundles."""

    @property
    def root(self) -> Path:
        """The folder to stage in."""

    def existing(self, name: str, version: str) -> Bundle | None:
        """What is there already, if every byte of it is as its manifest says."""

    def commit(self, staged: Path) -> Path:
        """Make a staged bundle appear; returns where it is. Raises ArtifactError when it does not verify."""


@dataclass(frozen=True)
class ModelRoot:
    """`<root>/<name>/<version>`. Intact other content there makes way only when `replace` is true."""

    root: Path
    replace: bool = False

    def existing(self, name: str, version: str) -> Bundle | None:
        """The intact bundle at its place."""
        return _intact(place(self.root, name, version))

    def commit(self, staged: Path) -> Path:
        """Publish by one rename."""
        return publish(staged, self.root, replace=self.replace)


@dataclass(frozen=True)
class Folder:
    """A folder that ends up holding the bundle's files. Files of another bundle make way, unknown ones stop it."""

    root: Path

    def existing(self, name: str, version: str) -> Bundle | None:
        """The intact bundle in the folder, if it is the one of that name and version."""
        bundle = _intact(self.root)
        fits = bundle is not None and (bundle.manifest.name, bundle.manifest.version) == (name, version)
        return bundle if fits else None

    def commit(self, staged: Path) -> Path:
        """Move the files in, the manifest last: until then nothing takes the folder for a bundle."""
        bundle = verify(staged)
        sync_tree(staged)
        with exclusive(self.root):
            self._make_way(bundle)
            for relative in [*(entry.path for entry in bundle.manifest.files), MANIFEST]:
                target = safe_join(self.root, relative)
                target.parent.mkdir(parents=True, exist_ok=True)
                (staged / relative).rename(target)
        return self.root

    def _make_way(self, bundle: Bundle) -> None:
        coming = {entry.path for entry in bundle.manifest.files} | {MANIFEST}
        stale = self._listed() - coming
        for path in _files(self.root):
            relative = path.relative_to(self.root).as_posix()
            if relative in coming:
                continue
            if relative in stale or relative.startswith(SIGNATURE_PREFIX):
                path.unlink()
            else:
                raise RefusedByPolicy(f"{path} belongs to no model: name an empty folder, or remove it")
        for folder in sorted({(self.root / relative).parent for relative in stale}, reverse=True):
            _remove_empty(folder, self.root)

    def _listed(self) -> set[str]:
        try:
            return {entry.path for entry in open_bundle(self.root).manifest.files}
        except ArtifactError:
            return set()


def _intact(directory: Path) -> Bundle | None:
    try:
        return verify(directory)
    except (ArtifactError, OSError):  # or another run is at work in it
        return None


def _files(root: Path) -> list[Path]:
    found: list[Path] = []
    for folder, subfolders, names in os.walk(root):
        base = Path(folder)
        if base == root and STAGING in subfolders:
            subfolders.remove(STAGING)
        found += [base / name for name in names]
        found += [base / name for name in subfolders if (base / name).is_symlink()]
    return found


def _remove_empty(folder: Path, root: Path) -> None:
    with suppress(OSError):  # holds something, or is gone already
        while folder != root:
            folder.rmdir()
            folder = folder.parent
