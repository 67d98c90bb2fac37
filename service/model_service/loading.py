"""From a folder on disk to a runtime: found, verified, allowed by policy, loaded. Nothing here answers a request.

It runs in the supervisor before the fork, so that workers share the memory of what they serve, and in a worker for the
versions that clients name.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

from model_artifact.bundle import Bundle, verify
from model_artifact.digests import same_digest
from model_artifact.errors import ArtifactError
from model_artifact.framework import image_tag, incompatibilities
from model_artifact.manifest import Format
from model_artifact.publish import published_models, published_versions
from model_service import hooks, runtimes
from model_service.errors import LoadFailed
from model_service.hooks import Hooks
from model_service.runtimes.base import Runtime
from model_service.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Loaded:
    """A verified bundle with the runtime that answers for it, and the code it brings along."""

    bundle: Bundle
    runtime: Runtime
    hooks: Hooks | None


def load_default(settings: Settings) -> Loaded:
    """Load the version that requests without a name mean.

    Raises:
        LoadFailed: it can never be served, and why.
    """
    try:
        return _load(settings, _locate(settings), settings.model_digest)
    except (ArtifactError, OSError) as error:
        raise LoadFailed(str(error)) from error


def load_named(settings: Settings, name: str, version: str) -> Loaded:
    """Load a published version by name; the default's pins do not cover it.

    Raises:
        LoadFailed: it cannot be served, and why.
    """
    try:
        return _load(settings, settings.model_root / name / version, None)
    except (ArtifactError, OSError) as error:
        raise LoadFailed(str(error)) from error


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


def _load(settings: Settings, directory: Path, digest: str | None) -> Loaded:
    bundle = verify(directory, digest)
    pinned = digest is not None or _sha256_pins(settings, bundle)
    if settings.require_pinned and not pinned:
        raise LoadFailed(f"{directory} is not pinned and MODELPORT_REQUIRE_PINNED is set: set MODELPORT_MODEL_DIGEST")
    chosen = _choose_format(bundle)
    if chosen.kind != "onnx":
        _refuse_incompatible(bundle)
    runtime = runtimes.load(
        chosen.kind, bundle.path(chosen.path), bundle.manifest.signature, trusted=settings.allow_pickle or pinned
    )
    name, version = bundle.manifest.name, bundle.manifest.version
    log.info("loaded %s version %s from %s", name, version, chosen.path, extra={"digest": bundle.digest})
    # A pin of one model file does not cover the hooks beside it.
    return Loaded(bundle, runtime, hooks.load(bundle, trusted=settings.allow_pickle or digest is not None))


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
