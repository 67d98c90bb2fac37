"""Which versions of a model a URI holds: what people roll back to, and what programs choose from."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from model_artifact.delivery import NotFound
from model_artifact.digests import digest_bytes
from model_artifact.errors import ArtifactError
from model_artifact.manifest import MANIFEST, parse_manifest
from model_artifact.paths import version_key
from model_fetcher.plan import nearest, version_folders
from model_fetcher.transfer import Transfer
from model_fetcher.uris import redact

if TYPE_CHECKING:
    from model_fetcher.fetch import Fetcher


@dataclass(frozen=True)
class Version:
    """A bundle behind a URI: its own URI, what its manifest says (`size` in bytes), and the digest that pins it."""

    version: str
    name: str
    digest: str
    created: str
    size: int
    formats: list[str]
    uri: str


def list_versions(fetcher: "Fetcher", uri: str) -> list[Version]:
    """The bundles in a directory of versions, lowest first; of a bundle, itself.

    Folders that hold no manifest, or a broken one, are no versions.

    Raises:
        NotFound: there is none, or the scheme cannot list.
        DeliveryError: whatever stopped it.
    """
    with fetcher.reading(uri) as transfer:
        place = redact(uri).rstrip("/")
        own = _version(transfer, place, "")
        if own is not None:
            return [own]
        folders = version_folders(transfer)
        found = transfer.lanes.all([partial(_version, transfer, place, f"{folder}/") for folder in folders])
        versions = [each for each in found if each is not None]
        if not versions:
            cannot = "" if folders else "; a web server does not list" if place.startswith("http") else ""
            raise NotFound(f"{place} holds no versions{cannot or nearest(transfer)}")
        return sorted(versions, key=lambda each: version_key(each.version))


def _version(transfer: Transfer, place: str, base: str) -> Version | None:
    try:
        data = transfer.small(f"{base}{MANIFEST}")
        manifest = parse_manifest(data)
    except (NotFound, ArtifactError):
        return None
    return Version(
        version=manifest.version,
        name=manifest.name,
        digest=digest_bytes(data),
        created=manifest.created,
        size=sum(entry.size for entry in manifest.files),
        formats=[each.kind for each in manifest.formats],
        uri=f"{place}/{base}".rstrip("/"),
    )
