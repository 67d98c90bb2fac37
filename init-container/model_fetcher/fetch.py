"""The use case: plan, stage, verify, publish. Whatever goes wrong, the destination holds a whole model or none."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

from model_artifact.bundle import Bundle, open_bundle
from model_artifact.delivery import (
    ARTIFACT_ERRORS,
    DeliveryError,
    NotFound,
    RefusedByPolicy,
    translated,
    writing,
)
from model_artifact.digests import digest_bytes, parse_digest, same_digest
from model_artifact.manifest import MANIFEST, write_manifest
from model_artifact.publish import sweep
from model_fetcher.archives import unpack
from model_fetcher.cache import Cache
from model_fetcher.destinations import Destination
from model_fetcher.download import Item, Received
from model_fetcher.lanes import Lanes
from model_fetcher.plan import (
    ArchivePlan,
    BundlePlan,
    LoosePlan,
    Wanted,
    loose_manifest,
    make_plan,
    nearest,
    require_pin,
)
from model_fetcher.progress import Progress
from model_fetcher.retry import Retry
from model_fetcher.sources import open_source
from model_fetcher.sources.base import Access
from model_fetcher.sources.local import LocalSource
from model_fetcher.transfer import Transfer, free_bytes, take_over
from model_fetcher.uris import redact
from model_fetcher.workspace import Workspace, workspace


@dataclass(frozen=True)
class Outcome:
    """What was done: where the model is, its digest, bytes moved over the wire, seconds, who asked."""

    path: Path
    name: str
    version: str
    digest: str
    moved: int
    seconds: float
    identity: str
    already_there: bool


@dataclass(frozen=True)
class Fetcher:
    """How to fetch; what to fetch comes with each call."""

    progress: Progress
    retry: Retry
    access: Access
    require_pinned: bool = False
    cache: Cache | None = None
    free: Callable[[Path], int] = free_bytes

    def fetch(self, wanted: Wanted, destination: Destination) -> Outcome:
        """Make the destination hold what is at the URI.

        Raises:
            DeliveryError: with `uri` and `identity` filled in; the destination is as it was, or holds the whole model.
        """
        with self.reading(wanted.uri) as transfer, translated(ARTIFACT_ERRORS), writing(destination.root):
            if self.require_pinned:
                require_pin(wanted)
            what = f"{redact(wanted.uri)} {wanted.digest or wanted.sha256 or ''}"
            alone = self.cache.exclusive(what) if self.cache is not None else nullcontext()
            with alone:
                outcome = _Delivery(transfer, wanted, destination).run(what)
            if self.cache is not None:
                self.cache.evict()
            return outcome

    @contextmanager
    def reading(self, uri: str) -> Iterator[Transfer]:
        """Give what reads from a URI. Errors of the block get the URI and who asked."""
        retry = replace(self.retry, stop=Event())
        lanes = Lanes(self.access.connections, retry.stop)
        identity = ""
        try:
            source = retry.run(lambda _: open_source(uri, self.access))
            try:
                yield Transfer(source, lanes, retry, self.progress, self.free, self.cache)
            finally:
                identity = source.identity
        except DeliveryError as error:
            error.uri, error.identity = redact(uri), identity
            raise
        finally:
            lanes.close()


class _Delivery:
    """One fetch."""

    def __init__(self, transfer: Transfer, wanted: Wanted, destination: Destination) -> None:
        self._transfer = transfer
        self._wanted = wanted
        self._destination = destination
        self._began = time.monotonic()
        self._moved_before = transfer.progress.moved

    def run(self, what: str) -> Outcome:
        plan = make_plan(self._transfer, self._wanted)
        there = None if isinstance(plan, ArchivePlan) else self._there(plan)
        if there is not None:
            return self._outcome(there, already_there=True)
        self._destination.root.mkdir(parents=True, exist_ok=True)
        sweep(self._destination.root)
        with workspace(self._destination.root, what, others=self._destination.shared) as work:
            if isinstance(plan, ArchivePlan):
                return self._unpacked(plan, work)
            return self._deliver(plan, self._receive(plan.items, work), work)

    def _there(self, plan: BundlePlan | LoosePlan) -> Bundle | None:
        """What is at its place already, where the plan alone tells that it is the same."""
        if isinstance(plan, LoosePlan):
            return self._holding(plan, [item.sha256 for item in plan.items])
        there = self._destination.existing(plan.manifest.name, plan.manifest.version)
        return there if there is not None and same_digest(there.digest, digest_bytes(plan.data)) else None

    def _holding(self, plan: LoosePlan, digests: Sequence[str | None]) -> Bundle | None:
        there = self._destination.existing(plan.name, plan.version)
        if there is None or None in digests:
            return None
        held = {entry.path: parse_digest(entry.sha256) for entry in there.manifest.files}
        wanted = {item.path: parse_digest(digest or "") for item, digest in zip(plan.items, digests, strict=True)}
        return there if held == wanted else None

    def _receive(self, items: Sequence[Item], work: Workspace) -> list[Received]:
        try:
            return self._transfer.fetch(items, work)
        except NotFound as error:
            raise NotFound(f"{error}{nearest(self._transfer)}") from error

    def _deliver(self, plan: BundlePlan | LoosePlan, received: Sequence[Received], work: Workspace) -> Outcome:
        if isinstance(plan, BundlePlan):
            data = plan.data
        else:
            there = self._holding(plan, [each.sha256 for each in received])
            if there is not None:
                return self._outcome(there, already_there=True)
            data = write_manifest(loose_manifest(plan, received, redact(self._wanted.uri)))
        (work.bundle / MANIFEST).write_bytes(data)
        return self._outcome(open_bundle(self._destination.commit(work.bundle)))

    def _unpacked(self, archive: ArchivePlan, work: Workspace) -> Outcome:
        """Fetch an archive, then deliver what is in it as though that had been at the URI."""
        (received,) = self._receive([archive.item], work)
        packed = work.bundle / archive.item.path
        folder = unpack(packed, work.scratch("unpacked"), lambda: self._transfer.free(work.root))
        packed.unlink()
        # A progress of its own, which nobody sees: nothing more moves over the wire.
        inside = replace(self._transfer, source=LocalSource(folder), progress=Progress(), cache=None)
        plan = make_plan(inside, replace(self._wanted, uri=f"{self._wanted.uri}/", sha256=None))
        if isinstance(plan, ArchivePlan):
            raise RefusedByPolicy(f"{redact(self._wanted.uri)}: an archive in an archive")
        there = self._there(plan)
        if there is not None:
            return self._outcome(there, already_there=True)
        return self._deliver(plan, take_over(plan.items, folder, work, received.modified), work)

    def _outcome(self, bundle: Bundle, *, already_there: bool = False) -> Outcome:
        return Outcome(
            path=bundle.directory,
            name=bundle.manifest.name,
            version=bundle.manifest.version,
            digest=bundle.digest,
            moved=self._transfer.progress.moved - self._moved_before,
            seconds=time.monotonic() - self._began,
            identity=self._transfer.source.identity,
            already_there=already_there,
        )
