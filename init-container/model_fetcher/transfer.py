"""Getting objects of one source into a workspace: what is here already, what a cache has, and the rest by download."""

import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from model_artifact.delivery import DiskFull, NotFound
from model_artifact.digests import digest_bytes, same_digest, sha256_file
from model_artifact.errors import ArtifactError
from model_artifact.manifest import MAX_BYTES, parse_manifest
from model_artifact.paths import safe_join
from model_fetcher.cache import Cache, Known
from model_fetcher.download import STEP, Item, Means, Received, download, require_same
from model_fetcher.lanes import Lanes
from model_fetcher.progress import Progress, megabytes
from model_fetcher.retry import Progressed, Retry
from model_fetcher.sources.base import Ask, Source
from model_fetcher.workspace import Workspace


def free_bytes(folder: Path) -> int:
    """Room on the file system of `folder`."""
    return shutil.disk_usage(folder).free


@dataclass(frozen=True)
class Transfer:
    """Fetches from one source; `free` is an argument so that a full disk can be tested."""

    source: Source
    lanes: Lanes
    retry: Retry
    progress: Progress
    free: Callable[[Path], int] = free_bytes
    cache: Cache | None = None

    def fetch(self, items: Sequence[Item], work: Workspace) -> list[Received]:
        """Fetch objects into the staged bundle, side by side.

        Raises:
            DiskFull: before anything moves, when they do not fit.
            ChecksumMismatch: naming the first that is not as it should be.
        """
        here = work.keep_only({item.path for item in items})
        self._require_room(work, sum(item.size or 0 for item in items) - here)
        sizes = [item.size for item in items if item.size is not None]
        known = len(sizes) == len(items)
        self.progress.begin(self.source.place.rsplit("/", 1)[-1], sum(sizes) if known else None)
        received = self.lanes.all([partial(self._one, item, work) for item in items])
        self.progress.end()
        return received

    def kept(self, digest: str) -> bytes | None:
        """The manifest of that digest, if the cache holds all that it lists: then its place makes no difference."""
        data = self.cache.text(digest) if self.cache is not None else None
        if self.cache is None or data is None:
            return None
        with suppress(ArtifactError):  # whoever reads it next will say so
            if all(self.cache.holds(entry.sha256) for entry in parse_manifest(data).files):
                return data
        return None

    def small(self, key: str) -> bytes:
        """Read a manifest, or as much of what calls itself one as shows that it is too large."""

        def attempt(progressed: Progressed) -> bytes:
            data = bytearray()
            with self.source.open(Ask(key)) as content:
                for chunk in content.chunks:
                    data += chunk
                    self.progress.count(len(chunk))
                    progressed(len(data) // STEP)
                    if len(data) > MAX_BYTES:
                        break
            return bytes(data)

        data = self.retry.run(attempt)
        if self.cache is not None:
            self.cache.give(digest_bytes(data), data)
        return data

    def _one(self, item: Item, work: Workspace) -> Received:
        target, ledger = work.bundle / item.path, work.ledger(item.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        received = self._here(item, target, ledger) or self._cached(item, target)
        if received is not None:
            self.progress.skip(received.size)
            return received
        means = Means(self.source, self.lanes, self.retry, self.progress, partial(self._require_room, work))
        received = download(item, target, ledger, means)
        if self.cache is not None:
            self.cache.give(received.sha256, target)
            if received.version:
                modified = received.modified.isoformat() if received.modified else ""
                known = Known(received.version, received.sha256, received.size, modified)
                self.cache.remember(self._place(item), known)
        return received

    def _here(self, item: Item, target: Path, ledger: Path) -> Received | None:
        """What an earlier run completed."""
        if item.sha256 is None or ledger.exists() or not target.is_file():
            return None
        digest = sha256_file(target) if item.size in {None, target.stat().st_size} else ""
        return Received(target.stat().st_size, digest) if digest and same_digest(digest, item.sha256) else None

    def _cached(self, item: Item, target: Path) -> Received | None:
        if self.cache is None:
            return None
        known = self.cache.recall(self._place(item))
        if item.sha256 is None and (known is None or not self._unchanged(item, known)):
            return None
        digest = (item.sha256 or (known.sha256 if known else "")).removeprefix("sha256:")
        if not self.cache.take(digest, target):
            return None
        same = known is not None and known.sha256 == digest
        modified = datetime.fromisoformat(known.modified) if known and same and known.modified else None
        return Received(target.stat().st_size, digest, known.version if known and same else "", modified)

    def _unchanged(self, item: Item, known: Known) -> bool:
        def attempt(_: Progressed) -> bool:
            with self.lanes.open(self.source, Ask(item.key, stop=1, known=known.version)) as content:
                return content.unchanged

        return self.retry.run(attempt)

    def _place(self, item: Item) -> str:
        return f"{self.source.place}/{item.key}"

    def _require_room(self, work: Workspace, size: int) -> None:
        free = self.free(work.root)
        if size > free:
            raise DiskFull(
                f"{work.root.parent.parent} has {megabytes(free)} free and the model needs {megabytes(size)}"
            )


def take_over(items: Sequence[Item], folder: Path, work: Workspace, modified: datetime | None) -> list[Received]:
    """Move files of a local folder, which is given up, into the staged bundle.

    Raises:
        NotFound: one is not there.
        ChecksumMismatch: naming the first that is not as it should be.
    """
    work.keep_only(())
    received = []
    for item in items:
        source, target = safe_join(folder, item.key), work.bundle / item.path
        if not source.is_file():
            raise NotFound(f"{item.label} does not exist")
        each = Received(source.stat().st_size, sha256_file(source), modified=modified)
        require_same(item, each.size, each.sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        received.append(each)
        source.rename(target)
    return received
