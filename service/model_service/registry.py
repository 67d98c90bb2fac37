"""The versions of this worker: the default one, proven before traffic comes, and others as clients name them."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from opentelemetry.trace import Tracer

from model_artifact.coercion import Row
from model_artifact.publish import published_models, published_versions
from model_service import loading, proving
from model_service.answers import Writer, plain
from model_service.batch import Answered, Limits, WrongRowCount
from model_service.batching import Batcher
from model_service.errors import LoadFailed, ModelNotFound, ModelNotReady
from model_service.hooks import Hooks
from model_service.loading import Loaded
from model_service.runtimes.base import Runtime
from model_service.schema import Schema
from model_service.settings import Settings
from model_service.telemetry.batches import BatchTelemetry
from model_service.telemetry.metrics import Histogram, Metrics

RETRY_SECONDS = 30
"""A version that failed to load is not tried again sooner, whoever asks."""

log = logging.getLogger(__name__)
Key = tuple[str, str]


@dataclass(frozen=True, eq=False)
class Version:
    """One served version with its own queue and thread, so that versions do not wait for each other.

    `input` and `output` time the decoding of its requests and the writing of its answers.
    """

    name: str
    version: str
    loaded: Loaded
    schema: Schema
    writer: Writer
    batcher: Batcher
    hooks: Hooks | None
    input: Histogram
    output: Histogram


class Registry:
    """Holds what is loaded and says what is not, and why."""

    def __init__(self, settings: Settings, metrics: Metrics, tracer: Tracer, on_dead: Callable[[str], None]) -> None:
        self._settings, self._metrics, self._tracer, self._on_dead = settings, metrics, tracer, on_dead
        self.default: Version | None = None
        self.reason: str | None = None
        self._others: OrderedDict[Key, Version] = OrderedDict()
        self._loads: dict[Key, asyncio.Task[Version]] = {}
        self._failed: dict[Key, tuple[str, float]] = {}

    def load(self, loaded: Loaded | None = None) -> None:
        """Load and prove the default version; a second call does nothing.

        Args:
            loaded: before the fork; loaded here when left out.

        Raises:
            LoadFailed: with the reason, which `states` reports from then on.
        """
        if self.default is not None:
            return
        started = time.perf_counter()
        try:
            self.default = self._prove(loaded or loading.load_default(self._settings), started)
        except LoadFailed as error:
            self.reason = str(error)
            raise

    async def resolve(self, name: str | None, version: str | None) -> Version:
        """The version a request asked for, loaded first when it is not yet; the default when it named none.

        Raises:
            ModelNotReady: the default is not loaded, or the one that was asked for cannot be.
            ModelNotFound: no such model or version is published here.
        """
        default = self.default
        if default is None:
            raise ModelNotReady("the model is not loaded yet" if self.reason is None else "the model failed to load")
        if name in {None, default.name} and version in {None, default.version}:
            return default
        key = self._published(name or default.name, version)
        if key in self._others:
            self._others.move_to_end(key)
            return self._others[key]
        if key not in self._loads:
            self._refuse_failed(key)
            self._loads[key] = asyncio.create_task(self._load(key))
        return await asyncio.shield(self._loads[key])

    def states(self) -> list[dict[str, Any]]:
        """`{name, version, digest, state, reason}` of each model, for `/health`; the default comes first."""
        settings = self._settings
        if self.default is None:
            state = "loading" if self.reason is None else "failed"
            return [_state(settings.model_name, settings.model_version, settings.model_digest, state, self.reason)]
        served = [self.default, *self._others.values()]
        return [_state(item.name, item.version, item.loaded.bundle.digest, "ready", None) for item in served] + [
            _state(*key, None, "failed", reason) for key, (reason, _) in self._failed.items()
        ]

    def close(self) -> None:
        """Let running predictions finish and stop the threads."""
        for version in filter(None, (self.default, *self._others.values())):
            version.batcher.close()

    def _published(self, name: str, version: str | None) -> Key:
        root = self._settings.model_root
        versions = published_versions(root, name) if name in published_models(root) else []
        if not versions or (version is not None and version not in versions):
            asked = f"{name} version {version}" if version else name
            others = f"it has version {', '.join(versions)}" if versions else f"{self.default_name} is"
            raise ModelNotFound(f"{asked} is not served here; {others}")
        return name, version or versions[-1]

    @property
    def default_name(self) -> str:
        """The default model's name."""
        return self.default.name if self.default else "nothing"

    def _refuse_failed(self, key: Key) -> None:
        reason, failed_at = self._failed.get(key, ("", -RETRY_SECONDS))
        if time.monotonic() - failed_at < RETRY_SECONDS:
            raise ModelNotReady(f"{key[0]} version {key[1]} cannot be served: {reason}")

    async def _load(self, key: Key) -> Version:
        try:
            version = await asyncio.to_thread(self._load_named, key)
        except LoadFailed as error:
            log.warning("%s version %s cannot be served: %s", *key, error)
            self._failed[key] = (str(error), time.monotonic())
            raise ModelNotReady(f"{key[0]} version {key[1]} cannot be served: {error}") from error
        finally:
            del self._loads[key]
        self._failed.pop(key, None)
        self._others[key] = version
        while len(self._others) > self._settings.max_loaded_versions - 1:
            forgotten, _ = self._others.popitem(last=False)
            self._metrics.gauge("model_ready", *forgotten).set(0)
        return version

    def _load_named(self, key: Key) -> Version:
        started = time.perf_counter()
        return self._prove(loading.load_named(self._settings, *key), started)

    def _prove(self, loaded: Loaded, started: float) -> Version:
        manifest, runtime = loaded.bundle.manifest, loaded.runtime
        schema = Schema(runtime.signature)
        inline_rows = proving.replay(loaded.bundle, runtime, schema, loaded.hooks)
        settings, labels = self._settings, (manifest.name, manifest.version)
        limits = Limits(
            share=settings.batching,
            batch_rows=settings.batch_max_rows if settings.batching else settings.max_batch_rows,
            queue_rows=settings.queue_max_rows,
            window=settings.batch_window_ms / 1000 if settings.batching else 0,
            inline_rows=inline_rows,
            stuck_seconds=settings.worker_timeout_seconds,
        )
        log.info("%s version %s is proven; calls of up to %d rows run on the event loop", *labels, inline_rows)
        telemetry = BatchTelemetry(self._metrics, self._tracer, manifest.name, manifest.version)
        batcher = Batcher(_caller(runtime), limits, telemetry, self._on_dead)
        self._metrics.gauge("model_load_duration_seconds", *labels).set(time.perf_counter() - started)
        self._metrics.gauge("model_ready", *labels).set(1)
        return Version(
            *labels,
            loaded,
            schema,
            Writer(runtime.signature, *labels),
            batcher,
            loaded.hooks,
            self._metrics.histogram("model_compute_input_duration_seconds", *labels),
            self._metrics.histogram("model_compute_output_duration_seconds", *labels),
        )


def _caller(runtime: Runtime) -> Callable[[list[Row]], Answered]:
    def call(rows: list[Row]) -> Answered:
        answers = runtime.predict(rows)
        scores = answers.probabilities
        if len(answers) != len(rows) or (scores is not None and len(scores) != len(rows)):
            shapes = [answers.predictions.shape, *([] if scores is None else [scores.shape])]
            raise WrongRowCount(f"the model answered {' and '.join(map(str, shapes))} to {len(rows)} rows")
        return plain(answers)

    return call


def _state(name: str | None, version: str | None, digest: str | None, state: str, reason: str | None) -> dict[str, Any]:
    return {"name": name, "version": version, "digest": digest, "state": state, "reason": reason}
