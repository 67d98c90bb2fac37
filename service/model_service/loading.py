"""From a folder on disk to a runtime: found, verified, allowed by policy, loaded. Nothing here answers a request.

It runs in the supervisor before the fork, so that workers share the memory of what they serve, and in a worker for the
versions that clients name.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_artifact.bundle import Bundle
from model_artifact.digests import same_digest
from model_artifact.errors import ArtifactError
from model_artifact.framework import image_tag, incompatibilities
from model_artifact.manifest import Format
from model_artifact.publish import default_version, published_models, published_versions, verify_published
from model_service import hooks, memory, runtimes
from model_service.errors import LoadFailed
from model_service.hooks import Hooks
from model_service.runtimes.base import Runtime
from model_service.settings import Settings
from model_service.traffic.document import Key, Traffic

log = logging.getLogger(__name__)
_NONE = None, None


@dataclass(frozen=True)
class Loaded:
    """A verified bundle with the runtime that answers for it, the code it brings along, and its bytes in memory."""

    bundle: Bundle
    runtime: Runtime
    hooks: Hooks | None
    bytes: int = 0


@dataclass(frozen=True)
class Preloaded:
    """What a supervisor loaded for its workers: the default version as configured, and the loaded ones by key."""

    default: Key
    loaded: Mapping[Key, Loaded]


def preload(settings: Settings, traffic: Traffic) -> Preloaded:
    """Load the default version and all others that the traffic document needs.

    Raises:
        LoadFailed: one of them can never be served, and why.
    """
    try:
        default = default_key(settings)
    except (ArtifactError, OSError) as error:
        raise LoadFailed(str(error)) from error
    return Preloaded(default, {key: load_named(settings, *key) for key in traffic.needed(default)})


def load_named(settings: Settings, name: str, version: str) -> Loaded:
    """Load a published version by name; `model_digest` and `model_sha256` are about the configured default only.

    Raises:
        LoadFailed: it cannot be served, and why.
    """
    directory = settings.model_root / name / version
    try:
        pins = settings.model_digest, settings.model_sha256
        return _load(settings, directory, *(pins if any(pins) and (name, version) == default_key(settings) else _NONE))
    except (ArtifactError, OSError) as error:
        raise LoadFailed(str(error)) from error


def default_key(settings: Settings) -> Key:
    """Name and version that requests without a name mean, as settings say.

    Raises:
        LoadFailed: there is no such version, or no telling which.
    """
    root = settings.model_root
    if not root.is_dir():
        raise LoadFailed(f"MODELPORT_MODEL_ROOT: {root} is not a folder")
    name = settings.model_name or _only_model(root)
    versions = published_versions(root, name)
    version = settings.model_version or default_version(root, name, settings.model_digest)
    if version not in versions:
        raise LoadFailed(
            f"{root} holds no {name} version {version or 'at all'}; "
            f"it has {', '.join(versions or published_models(root)) or 'no model'}"
        )
    return name, str(version)


def _only_model(root: Path) -> str:
    names = published_models(root)
    if len(names) != 1:
        found = f"holds {', '.join(names)}: say which with MODELPORT_MODEL_NAME" if names else "holds no model"
        raise LoadFailed(f"{root} {found}")
    return names[0]


def _load(settings: Settings, directory: Path, digest: str | None, sha256: str | None) -> Loaded:
    bundle = verify_published(settings.model_root, directory.parent.name, directory.name, digest)
    whole = digest is not None or _is_among(bundle.digest, settings.version_digests)
    pinned = whole or _file_is_pinned(bundle, sha256, settings.version_digests)
    if settings.require_pinned and not pinned:
        raise LoadFailed(f"{directory} is not pinned and MODELPORT_REQUIRE_PINNED is set: set MODELPORT_MODEL_DIGEST")
    chosen = _choose_format(bundle)
    if chosen.kind != "onnx":
        _refuse_incompatible(bundle)
    runtimes.import_loader(chosen.kind)  # libraries are no part of what the version costs
    memory.trim()
    before = memory.anonymous()
    runtime = runtimes.load(
        chosen.kind, bundle.path(chosen.path), bundle.manifest.signature, trusted=settings.allow_pickle or pinned
    )
    name, version = bundle.manifest.name, bundle.manifest.version
    log.info("loaded %s version %s from %s", name, version, chosen.path, extra={"digest": bundle.digest})
    # A pin of one model file does not cover the hooks beside it.
    own = hooks.load(bundle, trusted=settings.allow_pickle or whole)
    return Loaded(bundle, runtime, own, max(memory.anonymous() - before, bundle.path(chosen.path).stat().st_size))


def _file_is_pinned(bundle: Bundle, sha256: str | None, others: Sequence[str]) -> bool:
    file, alone = bundle.manifest.file(bundle.manifest.formats[0].path), len(bundle.manifest.formats) == 1
    if sha256 is None:
        return alone and _is_among(file.sha256, others)
    if not alone or not same_digest(file.sha256, sha256):
        raise LoadFailed(
            f"MODELPORT_MODEL_SHA256 does not match {file.path} (sha256 {file.sha256}); it pins a bare model file, "
            "a bundle is pinned with MODELPORT_MODEL_DIGEST"
        )
    return True


def _is_among(digest: str, pins: Sequence[str]) -> bool:
    return any(same_digest(digest, pin) for pin in pins)


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
