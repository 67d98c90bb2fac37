"""The versions on disk: found, verified, loaded, warmed, proven, and only then served."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model_artifact.bundle import Bundle, verify
from model_artifact.digests import same_digest
from model_artifact.errors import ArtifactError
from model_artifact.framework import image_tag, incompatibilities
from model_artifact.manifest import Format
from model_artifact.publish import published_models, published_versions
from model_service import golden, runtimes
from model_service.errors import LoadFailed, ModelNotFound, ModelNotReady, PredictionFailed
from model_service.runtimes.base import Answers, Runtime
from model_service.schema import Schema
from model_service.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Version:
    """One served version; its own thread keeps inference off the event loop and away from other versions."""

    bundle: Bundle
    runtime: Runtime
    schema: Schema
    executor: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "predict"))

    @property
    def name(self) -> str:
        """Model name."""
        return self.bundle.manifest.name

    @property
    def version(self) -> str:
        """Version text."""
        return self.bundle.manifest.version

    async def predict(self, rows: list[Any]) -> Answers:
        """Answer coerced rows off the event loop.

        Raises:
            PredictionFailed: the model raised, or answered another number of rows.
        """
        try:
            answers = await asyncio.get_running_loop().run_in_executor(self.executor, self.runtime.predict, rows)
        except Exception as error:
            log.exception("prediction failed", extra={"model_name": self.name, "model_version": self.version})
            raise PredictionFailed("the model could not answer this input; the cause is in the server's log") from error
        if len(answers) != len(rows):
            log.error("model %s answered %d rows to %d", self.name, len(answers), len(rows))
            raise PredictionFailed("the model answered another number of rows than it was asked")
        return answers


class Registry:
    """Holds what is loaded and says what is not, and why."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._default: Version | None = None
        self.reason: str | None = None

    def load(self) -> Version:
        """Load and prove the default version; a second call returns the first one's result.

        Raises:
            LoadFailed: with the reason, which `states` reports from then on.
        """
        if self._default is None:
            try:
                self._default = _load(self._settings, _locate(self._settings))
            except (ArtifactError, LoadFailed, OSError) as error:
                self.reason = str(error)
                raise LoadFailed(self.reason) from error
        return self._default

    def resolve(self, name: str | None = None, version: str | None = None) -> Version:
        """The version a request asked for; the default when it named none.

        Raises:
            ModelNotReady: nothing is loaded yet.
            ModelNotFound: another model or version than the one served.
        """
        served = self._default
        if served is None:
            raise ModelNotReady("the model is not loaded yet" if self.reason is None else "the model failed to load")
        if (name or served.name) != served.name or (version or served.version) != served.version:
            asked = f"{name or served.name} version {version}" if version else str(name)
            raise ModelNotFound(f"{asked} is not served here; {served.name} version {served.version} is")
        return served

    def states(self) -> list[dict[str, str | None]]:
        """`{name, version, digest, state, reason}` of each model, for `/health`."""
        served, settings = self._default, self._settings
        if served is not None:
            return [_state(served.name, served.version, served.bundle.digest, "ready", None)]
        state = "loading" if self.reason is None else "failed"
        return [_state(settings.model_name, settings.model_version, settings.model_digest, state, self.reason)]

    def close(self) -> None:
        """Let running predictions finish and stop the threads."""
        if self._default is not None:
            self._default.executor.shutdown()


def _state(name: str | None, version: str | None, digest: str | None, state: str, reason: str | None) -> dict[str, Any]:
    return {"name": name, "version": version, "digest": digest, "state": state, "reason": reason}


def _locate(settings: Settings) -> Path:
    root = settings.model_root
    if not root.is_dir():
        raise LoadFailed(f"MODELPORT_MODEL_ROOT: {root} is not a folder")
    name = settings.model_name or _only_model(root)
    versions = published_versions(root, name)
    version = settings.model_version or (versions[-1] if versions else None)
    if version not in versions:
        raise LoadFailed(
            f"{root} holds no {name} version {version or 'at all'}; "
            f"it has {', '.join(versions or published_models(root)) or 'no model'}"
        )
    return root / name / str(version)


def _only_model(root: Path) -> str:
    names = published_models(root)
    if len(names) != 1:
        found = f"holds {', '.join(names)}: say which with MODELPORT_MODEL_NAME" if names else "holds no model"
        raise LoadFailed(f"{root} {found}")
    return names[0]


def _load(settings: Settings, directory: Path) -> Version:
    bundle = verify(directory, settings.model_digest)
    pinned = settings.model_digest is not None or _sha256_pins(settings, bundle)
    if settings.require_pinned and not pinned:
        raise LoadFailed(f"{directory} is not pinned and MODELPORT_REQUIRE_PINNED is set: set MODELPORT_MODEL_DIGEST")
    chosen = _choose_format(bundle)
    if chosen.kind != "onnx":
        _refuse_incompatible(bundle)
    runtime = runtimes.load(
        chosen.kind, bundle.path(chosen.path), bundle.manifest.signature, trusted=settings.allow_pickle or pinned
    )
    version = Version(bundle, runtime, Schema(runtime.signature))
    golden.replay(bundle, runtime, version.schema)
    log.info(
        "loaded %s version %s from %s", version.name, version.version, chosen.path, extra={"digest": bundle.digest}
    )
    return version


def _sha256_pins(settings: Settings, bundle: Bundle) -> bool:
    if settings.model_sha256 is None:
        return False
    file = bundle.manifest.file(bundle.manifest.formats[0].path)
    if len(bundle.manifest.formats) > 1 or not same_digest(file.sha256, settings.model_sha256):
        raise LoadFailed(
            f"MODELPORT_MODEL_SHA256 does not match {file.path} (sha256 {file.sha256}); it pins a bare model file, "
            "a bundle is pinned with MODELPORT_MODEL_DIGEST"
        )
    return True


def _choose_format(bundle: Bundle) -> Format:
    missing: dict[str, list[str]] = {}
    for kind in runtimes.RUNTIMES:
        found = bundle.manifest.format(kind)
        if found is None:
            continue
        missing[kind] = runtimes.missing_packages(kind)
        if not missing[kind]:
            return found
    framework = bundle.manifest.framework
    image = f"modelport/service-sklearn:{image_tag(framework)}" if framework else "modelport/service-sklearn"
    needs = "; ".join(f"{kind} needs {', '.join(packages)}" for kind, packages in missing.items())
    raise LoadFailed(f"no runtime here can load {bundle.directory}: {needs}, not installed: use the image {image}")


def _refuse_incompatible(bundle: Bundle) -> None:
    framework = bundle.manifest.framework
    if framework is not None and (problems := incompatibilities(framework)):
        raise LoadFailed(
            f"{bundle.directory}: {'; '.join(problems)}. Use the image modelport/service-sklearn:"
            f"{image_tag(framework)}, or fit and pack again with the versions installed here"
        )
