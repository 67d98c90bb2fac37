"""Where a bundle goes: URIs of places that can be written, and the folder of a version below them."""

import re
from urllib.parse import unquote, urlsplit

from model_artifact.delivery import Usage

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def scheme_of(uri: str) -> str:
    """The scheme in lower case; `file` for a plain path."""
    match = _SCHEME.match(uri)
    return match[1].lower() if match else "file"


def local_path(uri: str) -> str:
    """The path that a plain path or a `file://` URI means. Raises Usage when it names another host."""
    if not _SCHEME.match(uri):
        return uri
    parts = urlsplit(uri)
    if parts.netloc not in {"", "localhost"}:
        raise Usage(f"{uri}: a file URI has three slashes before the path, as in file:///{parts.netloc}{parts.path}")
    return unquote(parts.path)


def bucket_and_key(uri: str) -> tuple[str, str]:
    """The two parts of `scheme://bucket/key`. Raises Usage when there is no bucket."""
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if not bucket:
        raise Usage(f"{uri}: expected {scheme}://bucket or {scheme}://bucket/folder")
    return bucket, key.strip("/")


def version_uri(uri: str, name: str, version: str) -> str:
    """The URI of one version below a model root.

    Args:
        uri: the root; one that ends in NAME or NAME/VERSION already is understood as the root above.
        name: of the model.
        version: of the model.

    Raises:
        Usage: the URI ends in another version of the same model.
    """
    root = uri.rstrip("/")
    folders = _folders(root)
    if folders[-2:] == [name, version]:
        return root
    if folders[-2:-1] == [name] and folders[-1][0].isdigit():
        raise Usage(
            f"{uri} names version {folders[-1]} of {name!r}, and the bundle is version {version}: "
            f"push to {root.removesuffix(f'/{folders[-1]}')}"
        )
    if folders[-1:] == [name]:
        return f"{root}/{version}"
    return f"{root}/{name}/{version}"


def _folders(root: str) -> list[str]:
    """Folders below the bucket or the root of the file system."""
    path = bucket_and_key(root)[1] if scheme_of(root) != "file" else local_path(root)
    return [part for part in path.split("/") if part]
