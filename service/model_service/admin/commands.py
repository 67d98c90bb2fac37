"""What can be commanded: each command ends when every worker of the pod does what it says."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import msgspec

from model_artifact.publish import published_models, published_versions
from model_service.coordination import Coordinator, Edit, Refused
from model_service.errors import Conflict
from model_service.registry import Registry
from model_service.settings import Settings
from model_service.traffic.document import Key, Traffic
from model_service.traffic.orders import Desired

Row = dict[str, Any]


class Commands:
    """The use cases of the admin API and of the traffic file."""

    def __init__(self, settings: Settings, registry: Registry, coordinator: Coordinator) -> None:
        self._root, self._budget = settings.model_root, settings.model_memory_bytes
        self._registry, self._coordinator = registry, coordinator
        self._running: dict[tuple[str, Key], asyncio.Task[Row]] = {}

    @property
    def traffic(self) -> Traffic:
        """The document in force."""
        return self._registry.traffic

    def overview(self) -> dict[str, Any]:
        """Every version that lies in the model root or is loaded, as the worker that is asked knows it."""
        loaded = self._registry.loaded
        found = [(name, version) for name in published_models(self._root) for version in self._versions(name)]
        return {
            "models": [self._row(key) for key in dict.fromkeys([*found, *loaded.versions])],
            "budget_bytes": self._budget,
            "used_bytes": loaded.bytes,
            "generation": self.traffic.generation,
        }

    async def load(self, key: Key) -> Row:
        """Load and prove a version in every worker.

        Raises:
            ModelNotFound: it is not published here.
            Unservable: it cannot be served, and why.
            Conflict: the memory budget is too small for it.
        """
        return await self._once("load", key, lambda: self._load(key))

    async def unload(self, key: Key) -> Row:
        """Drop a version from every worker; requests that it answers are finished.

        Raises:
            ModelNotFound: it is not published here.
            Conflict: traffic needs it.
        """
        return await self._once("unload", key, lambda: self._unload(key))

    async def set_traffic(self, traffic: Traffic) -> Traffic:
        """Put a document in force.

        Raises:
            Conflict: a later one is in force, or another one of this generation, or it cannot take effect, and why.
        """
        try:
            desired = await self._coordinator.change(lambda current: _with_traffic(current, traffic))
        except Refused as refused:
            raise Conflict(str(refused)) from refused
        return desired.traffic

    async def _once(self, command: str, key: Key, run: Callable[[], Coroutine[Any, Any, Row]]) -> Row:
        """Run a command once for all who ask for the same while it runs."""
        task = self._running.get((command, key))
        if task is None:
            task = self._running[command, key] = asyncio.create_task(run())
            task.add_done_callback(lambda _: self._running.pop((command, key)))
        return await asyncio.shield(task)

    async def _load(self, key: Key) -> Row:
        self._registry.published(*key)

        def edit(current: Desired) -> Desired:
            still = [other for other in current.loaded if other in self._registry.loaded.versions and other != key]
            return msgspec.structs.replace(current, loaded=(*still, key), load=key, unload=None)

        return await self._changed(edit, key)

    async def _unload(self, key: Key) -> Row:
        if key not in self._registry.loaded.versions:
            self._registry.published(*key)

        def edit(current: Desired) -> Desired:
            if key in self._registry.needed(current.traffic):
                raise Conflict(f"{key[0]} version {key[1]} is in use: default, pinned, weighted or shadow")
            still = tuple(other for other in current.loaded if other != key)
            return msgspec.structs.replace(current, loaded=still, load=None, unload=key)

        return await self._changed(edit, key)

    async def _changed(self, edit: Edit, key: Key) -> Row:
        try:
            await self._coordinator.change(edit)
        except Refused as refused:
            raise refused.as_error() from refused
        return self._row(key)

    def _versions(self, name: str) -> list[str]:
        return published_versions(self._root, name)

    def _row(self, key: Key) -> Row:
        name, version = key
        loaded, model = self._registry.loaded, self.traffic.models.get(name)
        found, failure = loaded.versions.get(key), loaded.failed.get(key)
        default = self._registry.default
        is_default = version == model.default if model else default is not None and key == default.key
        weights = (model.weights if model else None) or ({version: 100} if is_default else {})
        used = loaded.used.get(key)
        return {
            "name": name,
            "version": version,
            "digest": found.loaded.bundle.digest if found else None,
            "state": "failed" if failure else "ready" if found else "available",
            "reason": failure[0] if failure else None,
            "bytes": found.bytes if found else None,
            "default": is_default,
            "pinned": bool(model and version in model.pinned),
            "weight": weights.get(version, 0),
            "shadow": model.shadow.percent if model and model.shadow and model.shadow.version == version else 0,
            "last_used": datetime.fromtimestamp(used, UTC).isoformat(timespec="seconds") if used else None,
        }


def _with_traffic(current: Desired, traffic: Traffic) -> Desired:
    before = current.traffic
    if traffic == before:
        return current
    if traffic.generation <= before.generation:
        which = "another document of" if traffic.generation == before.generation else "a document of"
        raise Conflict(
            f"expected a generation above {before.generation}, got {traffic.generation}: {which} generation "
            f"{before.generation} is in force"
        )
    return msgspec.structs.replace(current, traffic=traffic, load=None, unload=None)
