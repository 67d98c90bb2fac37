"""Which version answers: those that traffic needs, proven before it comes, and others as clients name them."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from model_artifact.paths import is_name
from model_artifact.publish import published_versions
from model_service import loading
from model_service.errors import LoadFailed, ModelNotFound, ModelNotReady
from model_service.headers import Headers
from model_service.loaded import LoadedVersions
from model_service.loading import Preloaded
from model_service.routing import Routing, compile_routing
from model_service.settings import Settings
from model_service.shadow import Mirror
from model_service.telemetry.metrics import Metrics
from model_service.telemetry.spans import Provider
from model_service.traffic.document import Key, Traffic
from model_service.traffic.orders import Desired
from model_service.versions import Lane, Maker, Version

LATEST_SECONDS = 1.0
"""For so long the highest version of a model is not looked for again: to read folders takes longer than an answer."""

log = logging.getLogger(__name__)


class Registry:
    """Says which version answers a request, and why one does not.

    Attributes:
        default: the version that requests without a name mean; none before it is loaded.
        plain: its lane, where it gets every one of them; none where traffic says more.
        traffic: the document in force.
        reason: why what is needed could not be loaded.
        loaded: the versions that are.
        mirrors: to the shadows, by model.
    """

    def __init__(
        self, settings: Settings, metrics: Metrics, provider: Provider | None, on_dead: Callable[[str], None]
    ) -> None:
        self._settings, self._metrics, self._on_dead = settings, metrics, on_dead
        self.loaded = LoadedVersions(settings, Maker(settings, metrics, provider, self._died))
        self.default: Version | None = None
        self.plain: Lane | None = None
        self.traffic = Traffic()
        self.reason: str | None = None
        self.mirrors: dict[str, Mirror] = {}
        self._configured: Key = ("", "")
        self._routings: dict[str, Routing] = {}
        self._prepared: list[Key] = []
        self._latest: dict[str, tuple[Lane, float]] = {}

    def load(self, preloaded: Preloaded | None, desired: Desired) -> None:
        """Load and prove what is desired; a second call does nothing.

        Args:
            preloaded: before the fork; everything is loaded here when left out.
            desired: by the pod.

        Raises:
            LoadFailed: with the reason, which `states` reports from then on.
        """
        if self.default is not None:
            return
        try:
            found = preloaded or loading.preload(self._settings, desired.traffic)
            self._configured = found.default
            needed = desired.traffic.needed(found.default)
            self.loaded.kept = frozenset(needed)
            for key in needed:
                self.loaded.load(key, found.loaded.get(key))
        except LoadFailed as error:
            self.reason = str(error)
            raise
        self._load_again(desired.loaded)
        self.apply(desired)

    def _load_again(self, keys: tuple[Key, ...]) -> None:
        """What an earlier worker loaded by command, as far as it can be."""
        for key in keys:
            try:
                if key not in self.loaded.versions:
                    self.loaded.load(key)
            except LoadFailed as error:
                log.warning("%s version %s cannot be served: %s", *key, error)
                self.loaded.fail(key, str(error))

    def find(self, name: str | None, version: str | None, headers: Headers) -> Lane | None:
        """The version for a request, where it is loaded; none where `resolve` has to look further."""
        default = self.default
        if default is None:
            return None
        name = name or default.name
        if version is None:
            routing = self._routings.get(name)
            if routing is not None:
                return routing.choose(headers)
            return self.plain if name == default.name else self._find_latest(name)
        lane = self.loaded.named.get((name, version))
        if lane is not None:
            self.loaded.touch((name, version))
        return lane

    async def resolve(self, name: str | None, version: str | None) -> Lane:
        """The version that `find` did not have, loaded first when it is not yet.

        Raises:
            ModelNotReady: the default is not loaded, or the one that was asked for cannot be.
            ModelNotFound: no such model or version is published here.
        """
        default = self.default
        if default is None:
            raise ModelNotReady("the model is not loaded yet" if self.reason is None else "the model failed to load")
        key = self.published(name or default.name, version)
        failure = self.loaded.failure(key)
        if failure is not None:
            raise ModelNotReady(f"{key[0]} version {key[1]} cannot be served: {failure}")
        try:
            found = await self.loaded.ensure(key)
        except LoadFailed as error:
            raise ModelNotReady(f"{key[0]} version {key[1]} cannot be served: {error}") from error
        if key in self.loaded.versions:
            self.loaded.touch(key)
        lane = Lane(found, "named" if version else "default")
        if version is None:
            self._latest[found.name] = lane, time.monotonic() + LATEST_SECONDS
        return lane

    def _find_latest(self, name: str) -> Lane | None:
        """The highest version of a model that traffic says nothing of, if it was looked for a short while ago."""
        lane, until = self._latest.get(name, (None, 0.0))
        if lane is None or until < time.monotonic() or self.loaded.versions.get(lane.version.key) is not lane.version:
            return None
        self.loaded.touch(lane.version.key)
        return lane

    async def version(self, name: str, version: str | None) -> Version:
        """The version under these names, the model's default where none is named; raises as `resolve`."""
        covered = self.traffic.models.get(name)
        if version is None and covered is not None:
            version = covered.default
        lane = self.find(name, version, {}) or await self.resolve(name, version)
        return lane.version

    def published(self, name: str, version: str | None) -> Key:
        """The version that lies in the model root under these names; the highest when none is named.

        Raises:
            ModelNotFound: there is none.
        """
        root = self._settings.model_root
        versions = published_versions(root, name) if is_name(name) else []
        if not versions or (version is not None and version not in versions):
            asked = f"{name} version {version}" if version else name
            others = f"it has version {', '.join(versions)}" if versions else f"{self.default_name} is"
            raise ModelNotFound(f"{asked} is not served here; {others}")
        return name, version or versions[-1]

    @property
    def default_name(self) -> str:
        """The default model's name."""
        return self.default.name if self.default else "nothing"

    def needed(self, traffic: Traffic) -> frozenset[Key]:
        """Versions that a document needs."""
        return frozenset(traffic.needed(self._configured))

    async def prepare(self, desired: Desired) -> None:
        """Load and prove what would be needed if this came into force; nothing that traffic needs now is dropped.

        Raises:
            ModelNotFound: a version is not published here.
            LoadFailed: a version cannot be served, and why.
        """
        wanted = self._wanted(desired)
        self.withdraw(wanted)
        self.loaded.kept |= self.needed(desired.traffic)
        for key in wanted:
            if key not in self.loaded.versions:
                self.published(*key)
                self._prepared.append(key)
                await self.loaded.ensure(key)

    def is_prepared(self, desired: Desired) -> bool:
        """Whether nothing would have to be loaded."""
        return all(key in self.loaded.versions for key in self._wanted(desired))

    def withdraw(self, wanted: Sequence[Key] = ()) -> None:
        """Forget what was prepared and does not come into force, but for what is wanted now."""
        self.loaded.kept = self.needed(self.traffic)
        for key in self._prepared:
            if key in self.loaded.versions and key not in self.loaded.kept and key not in wanted:
                self.loaded.drop(key)
        self._prepared = [key for key in self._prepared if key in wanted]

    def _wanted(self, desired: Desired) -> tuple[Key, ...]:
        return *desired.traffic.needed(self._configured), *([desired.load] if desired.load else [])

    def apply(self, desired: Desired) -> None:
        """Let what was prepared take effect; requests that are being answered stay with their version."""
        traffic, versions = desired.traffic, self.loaded.versions
        self._routings = {name: compile_routing(name, model, versions) for name, model in traffic.models.items()}
        self._shadow(traffic)
        self.traffic, self.default = traffic, versions[traffic.default_of(self._configured)]
        self.plain = None if self.default.name in self._routings else Lane(self.default, "default", told=False)
        self._prepared, self.loaded.kept = [], self.needed(traffic)
        if desired.unload is not None and desired.unload in versions.keys() - self.loaded.kept:
            self.loaded.drop(desired.unload)

    def _shadow(self, traffic: Traffic) -> None:
        """Ask the shadows that a document names, and no others."""
        before, self.mirrors = {mirror.version: mirror for mirror in self.mirrors.values()}, {}
        for name, model in traffic.models.items():
            if model.shadow is not None:
                version = self.loaded.versions[name, model.shadow.version]
                mirror = before.pop(version, None) or Mirror(version, self._settings.max_batch_rows, self._metrics)
                mirror.percent = model.shadow.percent
                self.mirrors[name] = mirror
        for mirror in before.values():
            mirror.close()

    def states(self) -> list[dict[str, Any]]:
        """`{name, version, digest, state, reason}` of each model, for `/health`; the default comes first."""
        settings = self._settings
        if self.default is None:
            state = "loading" if self.reason is None else "failed"
            return [_state(settings.model_name, settings.model_version, settings.model_digest, state, self.reason)]
        served = {version.key: version for version in (self.default, *self.loaded.versions.values())}
        rows = []
        for key in dict.fromkeys([*served, *self.loaded.failed]):
            reason = self.loaded.failed.get(key, (None,))[0]
            digest = served[key].loaded.bundle.digest if key in served else None
            rows.append(_state(*key, digest, "failed" if reason else "ready", reason))
        return rows

    def close(self) -> None:
        """Let running predictions finish and stop the threads; nobody waits for a shadow."""
        shadows = {mirror.version.key for mirror in self.mirrors.values()}
        self.loaded.close(waited_for=self.loaded.versions.keys() - shadows)

    def _died(self, key: Key, reason: str) -> None:
        """A version has stopped answering, and its worker with it, unless it was a shadow only."""
        answering = {lane.version.key for routing in self._routings.values() for lane in routing.lanes}
        mirror = self.mirrors.get(key[0])
        if mirror is None or mirror.version.key != key or key in answering:
            self._on_dead(reason)
            return
        log.error("%s version %s is asked no more: %s", *key, reason)
        self.loaded.fail(key, reason)
        self.loaded.drop(key)
        del self.mirrors[key[0]]


def _state(name: str | None, version: str | None, digest: str | None, state: str, reason: str | None) -> dict[str, Any]:
    return {"name": name, "version": version, "digest": digest, "state": state, "reason": reason}
