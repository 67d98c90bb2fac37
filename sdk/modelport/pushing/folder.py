"""`file://` and plain paths: staged inside the root, and there by one rename."""

from pathlib import Path

from model_artifact.bundle import Bundle, open_bundle, verify
from model_artifact.delivery import writing
from model_artifact.digests import CHUNK
from model_artifact.errors import AlreadyPublished, ArtifactError, DigestMismatch
from model_artifact.publish import publish, staging
from modelport.pushing.errors import Taken
from modelport.pushing.places import local_path
from modelport.pushing.progress import Meter
from modelport.pushing.store import File, files_of, manifest_file, taken


def push_to_folder(uri: str, bundle: Bundle, meter: Meter, *, overwrite: bool) -> bool:
    """Publish below a model root on a disk; returns whether it was there already.

    Raises:
        Taken: other content is there, and `overwrite` is false.
        DeliveryError: it cannot be written.
    """
    target = Path(local_path(uri))
    there = _digest(target)
    if there == bundle.digest and _is_whole(target):
        return True
    if there not in {None, bundle.digest} and not overwrite:
        raise taken(uri, str(there), bundle.digest)
    with writing(target):
        root = target.parent.parent
        root.mkdir(parents=True, exist_ok=True)
        with staging(root) as folder:
            for file in [*files_of(bundle), manifest_file(bundle)]:
                _copy(file, folder / file.key, meter)
            try:
                publish(folder, root, replace=overwrite)
            except AlreadyPublished as error:
                raise Taken(f"{error}: pack under a new --version, or use --overwrite") from error
    return False


def _digest(target: Path) -> str | None:
    try:
        return open_bundle(target).digest
    except ArtifactError:
        return None


def _is_whole(target: Path) -> bool:
    try:
        verify(target)
    except DigestMismatch:
        return False
    return True


def _copy(file: File, target: Path, meter: Meter) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with file.path.open("rb") as reader, target.open("xb") as writer:
        while chunk := reader.read(CHUNK):
            writer.write(chunk)
            meter.at(file.key, writer.tell())
