"""The versions that are loaded in this worker, in the bounds of the memory budget: the least recently used go first.

What traffic needs is kept whatever happens. A new version is loaded and proven before older ones go, so for that long
more memory is in use than the budget says. Loads run one at a time: what one costs is measured, and the peak bounded.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from model_service import memory
from model_service.errors import BudgetTooSmall, LoadFailed
from model_service.loading import Loaded
from model_service.settings import Settings
from model_service.traffic.document import Key
from model_service.versions import Lane, Maker, Version

RETRY_SECONDS = 30
"""A version that failed to load is not tried again sooner when a client names it."""
TRIM_SECONDS = 1.0
"""After a version was dropped: its last requests are mostly over by then."""

log = logging.getLogger(__name__)


class LoadedVersions:
    """Loads each version once, however many ask for it, and drops what the budget has no room for.

    Attributes:
        versions: by key, the least recently used first.
        named: the lane of each, for clients that name it.
        used: when a client last named a version, in seconds since the epoch.
        failed: why a version could not be loaded, and when that was found, by `time.monotonic`.
        kept: versions that are never dropped.
    """

    def __init__(self, settings: Settings, maker: Maker) -> None:
        self._budget, self._maker = settings.model_memory_bytes, maker
        self._loads: dict[Key, asyncio.Task[Version]] = {}
        self._one_load = asyncio.Lock()
        self.versions: OrderedDict[Key, Version] = OrderedDict()
        self.named: dict[Key, Lane] = {}
        self.used: dict[Key, float] = {}
        self.failed: dict[Key, tuple[str, float]] = {}
        self.kept: frozenset[Key] = frozenset()

    @property
    def bytes(self) -> int:
        """What all of them cost."""
        return sum(version.bytes for version in self.versions.values())

    def touch(self, key: Key) -> None:
        """Note that a client named a version."""
        self.versions.move_to_end(key)
        self.used[key] = time.time()

    def load(self, key: Key, preloaded: Loaded | None = None) -> None:
        """Load a version where nothing is served yet.

        Raises:
            LoadFailed: it cannot be served, and why.
        """
        self._take(key, self._maker.load(key, preloaded))

    async def ensure(self, key: Key) -> Version:
        """A published version, loaded and proven.

        Raises:
            LoadFailed: it cannot be served, and why.
        """
        if key in self.versions:
            return self.versions[key]
        if key not in self._loads:
            self._loads[key] = asyncio.create_task(self._load(key))
        return await asyncio.shield(self._loads[key])

    def failure(self, key: Key) -> str | None:
        """Why a version could not be loaded a short while ago."""
        if key in self._loads:
            return None
        reason, failed_at = self.failed.get(key, ("", -RETRY_SECONDS))
        return reason if time.monotonic() - failed_at < RETRY_SECONDS else None

    def drop(self, key: Key) -> None:
        """Serve a version no more; what is being answered keeps it until it is done, and then it is gone."""
        del self.versions[key], self.named[key]
        self.used.pop(key, None)
        self._maker.forget(key)
        with suppress(RuntimeError):  # before traffic comes there is no loop, and no need
            loop = asyncio.get_running_loop()
            loop.call_later(TRIM_SECONDS, loop.run_in_executor, None, memory.trim)

    def fail(self, key: Key, reason: str) -> None:
        """Note why a version cannot be served."""
        self.failed[key] = reason, time.monotonic()

    def close(self, waited_for: Iterable[Key]) -> None:
        """Stop the threads, and let running predictions of some versions finish."""
        for task in self._loads.values():
            task.cancel()
        for key, version in self.versions.items():
            version.batcher.close(wait=key in waited_for)

    async def _load(self, key: Key) -> Version:
        try:
            async with self._one_load:
                version = await asyncio.to_thread(self._maker.load, key)
                self._take(key, version)
        except LoadFailed as error:
            log.warning("%s version %s cannot be served: %s", *key, error)
            self.fail(key, str(error))
            raise
        finally:
            del self._loads[key]
        self.failed.pop(key, None)
        return version

    def _take(self, key: Key, version: Version) -> None:
        """Keep what was proven, and drop what there is no room for beside it."""
        try:
            leaving = list(_leaving(self.versions, self._budget, key, version.bytes, self.kept))
        except BudgetTooSmall:
            self._maker.forget(key)
            raise
        for old in leaving:
            self.drop(old)
        self.versions[key], self.named[key] = version, Lane(version, "named")
        self.used[key] = time.time()


def _leaving(
    versions: Mapping[Key, Version], budget: int, key: Key, needed: int, kept: frozenset[Key]
) -> Iterator[Key]:
    """Versions that have to go, the least recently used first, so that one more fits into the budget.

    Raises:
        BudgetTooSmall: it does not fit beside those that are kept.
    """
    if not budget:
        return
    fixed = sum(version.bytes for other, version in versions.items() if other in kept)
    if fixed + needed > budget:
        raise BudgetTooSmall(
            f"{key[0]} version {key[1]} takes {needed} bytes of memory, and the budget of {budget} "
            f"(MODELPORT_MODEL_MEMORY_BYTES) leaves {max(0, budget - fixed)} beside what traffic needs"
        )
    used = sum(version.bytes for version in versions.values())
    for other, version in versions.items():
        if used + needed <= budget:
            return
        if other not in kept:
            used -= version.bytes
            yield other
