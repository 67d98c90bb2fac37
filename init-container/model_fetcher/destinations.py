"""Where a verified bundle goes: below a model root under its name and version, or straight into a folder.

Both stage on their own file system, so that what is staged appears by renames.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar, Protocol

from model_artifact.bundle import SIGNATURE_PREFIX, Bundle, open_bundle, verify
from model_artifact.delivery import RefusedByPolicy
from model_artifact.errors import ArtifactError
from model_artifact.manifest import MANIFEST
from model_artifact.paths import safe_join
from model_artifact.publish import STAGING, exclusive, place, publish, sync_tree

JOURNAL = "journal"
"""File of the staging area, one path a line, that exists while a folder's files move."""


class Destination(Protocol):
    """A place that takes bundles."""

    @property
    def root(self) -> Path:
        """The folder to stage in."""

    @property
    def shared(self) -> bool:
        """Whether several models live below the root."""

    def existing(self, name: str, version: str) -> Bundle | None:
        """What is there already, if every byte of it is as its manifest says."""

    def commit(self, staged: Path) -> Path:
        """Make a staged bundle, every byte of which was hashed as it came, appear; returns where it is."""


@dataclass(frozen=True)
class ModelRoot:
    """`<root>/<name>/<version>`. Intact other content there makes way only when `replace` is true."""

    root: Path
    replace: bool = False
    shared: ClassVar[bool] = True

    def existing(self, name: str, version: str) -> Bundle | None:
        """The intact bundle at its place."""
        return _intact(place(self.root, name, version))

    def commit(self, staged: Path) -> Path:
        """Publish by one rename, or as `publish` does where the place is taken."""
        manifest = open_bundle(staged).manifest
        target = place(self.root, manifest.name, manifest.version)
        sync_tree(staged)
        with exclusive(self.root):
            free = not target.exists()
            if free:
                target.parent.mkdir(parents=True, exist_ok=True)
                staged.rename(target)
                _sync_folders(target.parent, self.root)
        return target if free else publish(staged, self.root, replace=self.replace)


@dataclass(frozen=True)
class Folder:
    """A folder that ends up holding the bundle's files. Files of another bundle make way, unknown ones stop it.

    While files move, a journal in the staging area names them all, those that go and those that come. It outlives a run
    that is killed, so that the next one knows what it may remove, whatever bundle it brings.
    """

    root: Path
    shared: ClassVar[bool] = False

    def existing(self, name: str, version: str) -> Bundle | None:
        """The intact bundle in the folder, if it is the one of that name and version."""
        bundle = _intact(self.root)
        fits = bundle is not None and (bundle.manifest.name, bundle.manifest.version) == (name, version)
        return bundle if fits else None

    def commit(self, staged: Path) -> Path:
        """Move the files in, the manifest last: until then nothing takes the folder for a bundle."""
        bundle = open_bundle(staged)
        sync_tree(staged)
        with exclusive(self.root):
            if self._has(bundle):
                return self.root
            targets = {entry.path: self._target(entry.path) for entry in bundle.manifest.files}
            coming = set(targets)
            ours = self._listed() | self._journaled()
            stale = self._stale(ours, coming)
            self._write_journal(staged.with_name(JOURNAL), ours | coming)
            (self.root / MANIFEST).unlink(missing_ok=True)
            for path in stale:
                path.unlink()
            _remove_empty(self.root, ours - coming)
            for relative, target in [*targets.items(), (MANIFEST, self.root / MANIFEST)]:
                target.parent.mkdir(parents=True, exist_ok=True)
                (staged / relative).rename(target)
            self._journal.unlink()
        return self.root

    def _has(self, bundle: Bundle) -> bool:
        """Whether another run has brought the same meanwhile: it is read there already, so that nothing may go away."""
        try:
            same = open_bundle(self.root).digest == bundle.digest
        except ArtifactError:
            return False
        return same and _intact(self.root) is not None

    @property
    def _journal(self) -> Path:
        return self.root / STAGING / JOURNAL

    def _target(self, relative: str) -> Path:
        if PurePosixPath(relative).parts[0] == STAGING:
            raise RefusedByPolicy(f"the bundle brings {relative!r}, but {STAGING} is where fetches stage: pack it anew")
        return safe_join(self.root, relative)

    def _stale(self, ours: set[str], coming: set[str]) -> list[Path]:
        """Files that must go. Raises RefusedByPolicy for one that no bundle brought."""
        found = {path.relative_to(self.root).as_posix(): path for path in _files(self.root)}
        stale = found.keys() - coming - {MANIFEST}
        for relative in sorted(stale - ours):
            if "/" in relative or not relative.startswith(SIGNATURE_PREFIX):
                raise RefusedByPolicy(f"{found[relative]} belongs to no model: name an empty folder, or remove it")
        return [found[relative] for relative in sorted(stale)]

    def _listed(self) -> set[str]:
        try:
            return {entry.path for entry in open_bundle(self.root).manifest.files}
        except ArtifactError:
            return set()

    def _journaled(self) -> set[str]:
        try:
            return set(self._journal.read_text(encoding="utf-8", errors="replace").splitlines())
        except FileNotFoundError:
            return set()

    def _write_journal(self, fresh: Path, paths: set[str]) -> None:
        with fresh.open("w", encoding="utf-8") as file:
            file.write("\n".join(sorted(paths)))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._journal)


def _sync_folders(*folders: Path) -> None:
    for folder in folders:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


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


def _remove_empty(root: Path, gone: set[str]) -> None:
    emptied = {str(folder) for relative in gone for folder in PurePosixPath(relative).parents} - {"."}
    for current, _, _ in os.walk(root, topdown=False):
        if Path(current).relative_to(root).as_posix() in emptied:
            with suppress(OSError):  # holds something
                Path(current).rmdir()
