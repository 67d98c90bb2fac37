"""Where a model is put together before it is published: kept when a run is stopped, so that the next one can go on.

Each lies in the staging area under a name made from what is fetched, with a lock that ends with its holder; of several
runs that fetch the same at once, each has its own.
"""

import itertools
import os
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from model_artifact.delivery import DeliveryError
from model_artifact.locks import locked
from model_artifact.publish import STAGING, in_staging

KEPT_FOR = 24 * 3600
"""Seconds that what a stopped run received waits for a run that goes on."""


@dataclass(frozen=True)
class Workspace:
    """The staged bundle, and beside it what only helps to make it."""

    root: Path

    @property
    def bundle(self) -> Path:
        """What is published in the end."""
        return self.root / "bundle"

    def scratch(self, name: str) -> Path:
        """A folder for what does not belong to the bundle."""
        return self.root / name

    def ledger(self, path: str) -> Path:
        """Where it is noted how far a file of the bundle has come."""
        return self.root / "ledgers" / _name(path)

    def keep_only(self, paths: Collection[str]) -> int:
        """Remove what an earlier run left for another content; returns bytes on disk of the files that stay."""
        size = 0
        for folder, _, names in os.walk(self.bundle, topdown=False):
            for path in (Path(folder, name) for name in names):
                if path.is_symlink() or path.relative_to(self.bundle).as_posix() not in paths:
                    path.unlink()
                else:
                    size += path.stat().st_blocks * 512
            with suppress(OSError):  # holds something
                Path(folder).rmdir()
        self.bundle.mkdir(parents=True, exist_ok=True)
        return size


@contextmanager
def workspace(root: Path, what: str, *, others: bool) -> Iterator[Workspace]:
    """Give the workspace for `what` in `root`; it stays when the run is stopped, or fails in a way that may pass.

    Args:
        root: what is published into.
        what: names the content, the same way in each run that is to go on where another was stopped.
        others: whether those of other contents may wait here too.
    """
    staging = root / STAGING
    name = _name(what)
    _sweep(root, "" if others else name)
    try:
        with _free_slot(staging, name) as folder:
            keep = False
            try:
                folder.mkdir(parents=True, exist_ok=True)
                os.utime(folder)
                yield Workspace(folder)
            except BaseException as error:
                passing = error.resumable if isinstance(error, DeliveryError) else not isinstance(error, Exception)
                keep = passing and any(path.is_file() for path in folder.rglob("*"))
                raise
            finally:
                if not keep:
                    shutil.rmtree(folder, ignore_errors=True)
    finally:
        with suppress(OSError):  # not there, or not empty
            staging.rmdir()


@contextmanager
def _free_slot(staging: Path, name: str) -> Iterator[Path]:
    for number in itertools.count():
        folder = staging / f"{name}-{number}.part"
        with suppress(BlockingIOError), locked(_lock(folder), wait=False):
            yield folder
            return


def _sweep(root: Path, keep: str) -> None:
    """Remove what nobody came back for in time, and at once what has another name than `keep`, if one is given."""
    for folder in {path.with_suffix(".part") for path in in_staging(root, ".part", ".held")}:
        with suppress(OSError), locked(_lock(folder), wait=False):
            if not folder.name.startswith(keep) or time.time() - folder.stat().st_mtime > KEPT_FOR:
                shutil.rmtree(folder, ignore_errors=True)


def _lock(folder: Path) -> Path:
    # Not `.lock`: those mark what may be swept as soon as its holder has died.
    return folder.with_suffix(".held")


def _name(text: str) -> str:
    return sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]
