"""One served version: what was loaded, proven, with its own queue, thread and instruments."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Literal

from model_service import loading, memory, proving
from model_service.answers import Writer, plain
from model_service.batch import Answered, Limits, WrongRowCount
from model_service.batching import Batcher
from model_service.hooks import Hooks
from model_service.loading import Loaded
from model_service.runtimes.base import Rows, Runtime
from model_service.schema import Schema
from model_service.scores import ScoreCounter
from model_service.settings import Settings
from model_service.telemetry.batches import BatchTelemetry
from model_service.telemetry.metrics import Histogram, Metrics
from model_service.telemetry.spans import Provider
from model_service.traffic.document import Key

Variant = Literal["default", "candidate", "named"]
"""Why a version answers: nobody named one, the weights chose another one than the default, the client named it."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Version:
    """One served version with its own queue and thread, so that versions do not wait for each other.

    `input` and `output` time the decoding of its requests and the writing of its answers; `bytes` is what it costs in
    memory, and `predict` the call that the batcher makes.
    """

    name: str
    version: str
    loaded: Loaded
    schema: Schema
    writer: Writer
    predict: Callable[[Rows], Answered]
    batcher: Batcher
    hooks: Hooks | None
    input: Histogram
    output: Histogram
    bytes: int

    @property
    def key(self) -> Key:
        """Name and version."""
        return self.name, self.version


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """A version, and why it answers; `told` is whether clients and logs are told so.

    `known` is what the access line tells of it, and `header` the line of the answer's head, if any.
    """

    version: Version
    variant: Variant
    told: bool = True
    known: dict[str, str] = field(init=False)
    header: bytes = field(init=False)

    def __post_init__(self) -> None:
        told = {"variant": self.variant} if self.told else {}
        known = {"model_name": self.version.name, "model_version": self.version.version, **told}
        object.__setattr__(self, "known", known)
        object.__setattr__(self, "header", f"x-model-variant: {self.variant}\r\n".encode() if self.told else b"")


class Maker:
    """Makes versions of this worker.

    Args:
        settings: of the service.
        metrics: of the worker.
        provider: of the traces, where there are any.
        on_dead: is told the version and the reason when one has stopped answering.
    """

    def __init__(
        self, settings: Settings, metrics: Metrics, provider: Provider | None, on_dead: Callable[[Key, str], None]
    ) -> None:
        self._settings, self._metrics, self._provider, self._on_dead = settings, metrics, provider, on_dead

    def load(self, key: Key, preloaded: Loaded | None = None) -> Version:
        """Load a published version, where it is not yet, and prove it.

        Raises:
            LoadFailed: it cannot be served, and why.
        """
        started = time.perf_counter()
        loaded = preloaded or loading.load_named(self._settings, *key)
        version = self._prove(loaded)
        self._metrics.gauge("model_load_duration_seconds", *version.key).set(time.perf_counter() - started)
        self._metrics.gauge("model_memory_bytes", *version.key).set(version.bytes)
        self._metrics.gauge("model_ready", *version.key).set(1)
        return version

    def forget(self, key: Key) -> None:
        """Tell that a version is not served any more."""
        for gauge in ("model_ready", "model_memory_bytes"):
            self._metrics.gauge(gauge, *key).set(0)

    def _prove(self, loaded: Loaded) -> Version:
        manifest, runtime = loaded.bundle.manifest, loaded.runtime
        name, version = manifest.name, manifest.version
        schema = Schema(runtime.signature)
        before = memory.anonymous()
        inline_rows = proving.replay(loaded.bundle, runtime, schema, loaded.hooks)
        grown = max(0, memory.anonymous() - before)
        log.info("%s version %s is proven; calls of up to %d rows run on the event loop", name, version, inline_rows)
        return self._assemble(loaded, schema, self._limits(inline_rows), loaded.bytes + grown)

    def again(self, version: Version) -> Version:
        """A proven version with a queue and instruments of its own, in the same thread."""
        batcher = version.batcher
        return self._assemble(version.loaded, version.schema, batcher.limits, version.bytes, batcher.executor)

    def _assemble(
        self, loaded: Loaded, schema: Schema, limits: Limits, size: int, executor: Executor | None = None
    ) -> Version:
        runtime, manifest = loaded.runtime, loaded.bundle.manifest
        name, version = manifest.name, manifest.version
        predict = _caller(runtime, ScoreCounter(loaded.bundle, runtime.signature, self._metrics))
        telemetry = BatchTelemetry(self._metrics, self._provider, name, version)
        return Version(
            name=name,
            version=version,
            loaded=loaded,
            schema=schema,
            writer=Writer(runtime.signature, name, version),
            predict=predict,
            batcher=Batcher(
                predict, limits, telemetry, lambda reason: self._on_dead((name, version), reason), executor
            ),
            hooks=loaded.hooks,
            input=self._metrics.histogram("model_compute_input_duration_seconds", name, version),
            output=self._metrics.histogram("model_compute_output_duration_seconds", name, version),
            bytes=size,
        )

    def _limits(self, inline_rows: int) -> Limits:
        settings = self._settings
        return Limits(
            share=settings.batching,
            batch_rows=settings.batch_max_rows if settings.batching else settings.max_batch_rows,
            queue_rows=settings.queue_max_rows,
            window=settings.batch_window_ms / 1000 if settings.batching else 0,
            inline_rows=inline_rows,
            stuck_seconds=settings.worker_timeout_seconds,
        )


def _caller(runtime: Runtime, scores: ScoreCounter) -> Callable[[Rows], Answered]:
    def call(rows: Rows) -> Answered:
        answers = runtime.predict(rows)
        probabilities = answers.probabilities
        if len(answers) != len(rows) or (probabilities is not None and len(probabilities) != len(rows)):
            shapes = [answers.predictions.shape, *([] if probabilities is None else [probabilities.shape])]
            raise WrongRowCount(f"the model answered {' and '.join(map(str, shapes))} to {len(rows)} rows")
        answered = plain(answers)
        scores.add(answered)
        return answered

    return call
