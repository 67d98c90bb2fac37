"""Where a local path lies in a model root: what can be served in place, and what must be brought into one first."""

import json
from dataclasses import dataclass
from pathlib import Path

from model_artifact.bundle import open_bundle
from model_artifact.manifest import MANIFEST
from modelport.cli.group import Failure


@dataclass(frozen=True)
class Place:
    """A model root `<root>/<name>/<version>/`, and what was meant in it; null is left to the service."""

    root: Path
    name: str | None = None
    version: str | None = None


def fetched_place(outcome: bytes) -> Place:
    """Where the fetcher says that it published, in the JSON line that ends its output."""
    path = Path(json.loads(outcome.splitlines()[-1])["path"])
    return Place(path.parent.parent, path.parent.name, path.name)


def find_place(path: Path) -> Place | None:
    """Say where `path` can be served in place.

    Returns:
        Its place; null for a bare file, or a bundle that lies elsewhere than its name and version say.

    Raises:
        Failure: there is nothing, or nothing that could be served.
        ArtifactError: a manifest is broken.
    """
    if not path.exists():
        raise Failure(f"{path}: no such file or folder")
    path = path.resolve()
    if path.is_file():
        return None
    if (path / MANIFEST).is_file():
        return _bundle_place(path)
    if any(path.glob(f"*/{MANIFEST}")):
        return _versions_place(path)
    if any(path.glob(f"*/*/{MANIFEST}")):
        return Place(path)
    found = ", ".join(sorted(entry.name for entry in path.iterdir())[:10]) or "nothing"
    raise Failure(
        f"{path} holds no model: expected {MANIFEST}, VERSION/{MANIFEST} or NAME/VERSION/{MANIFEST}, found {found}. "
        "Make a bundle with `modelport pack`, or name a model file"
    )


def _bundle_place(path: Path) -> Place | None:
    manifest = open_bundle(path).manifest
    if (path.parent.name, path.name) != (manifest.name, manifest.version):
        return None
    return Place(path.parent.parent, manifest.name, manifest.version)


def _versions_place(path: Path) -> Place | None:
    bundles = [open_bundle(found.parent) for found in path.glob(f"*/{MANIFEST}")]
    in_place = all(
        (path.name, bundle.directory.name) == (bundle.manifest.name, bundle.manifest.version) for bundle in bundles
    )
    return Place(path.parent, path.name) if in_place else None
