"""URIs as people write them: which scheme, and how to show them without what is secret."""

import re
from urllib.parse import unquote, urlsplit

from model_artifact.delivery import Usage

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_VERSION = re.compile(r"(#\d*|\?versionId=.*)$")
"""How the URI of an object ends that names one of its versions."""
_SECRETS = re.compile(r"(\b[a-z][a-z0-9+.-]*://)(?:[^/\s]*@)?([^\s?#'\")]*)(?:[?#][^\s'\")]*)?", re.IGNORECASE)


def scheme_of(uri: str) -> str:
    """The scheme in lower case; `file` for a plain path."""
    match = _SCHEME.match(uri)
    return match[1].lower() if match else "file"


def local_path(uri: str) -> str:
    """The path that a plain path or a `file://` URI means.

    Raises:
        Usage: it names another host.
    """
    if not _SCHEME.match(uri):
        return uri
    parts = urlsplit(uri)
    if parts.netloc not in {"", "localhost"}:
        raise Usage(f"{uri}: a file URI has three slashes before the path, as in file:///{parts.netloc}{parts.path}")
    return unquote(parts.path)


def last_segment(uri: str) -> str:
    """The last part of the path, decoded: `model.joblib` of `https://host/a/model.joblib?token=x`."""
    if scheme_of(uri) in {"http", "https"}:
        uri = unquote(urlsplit(uri).path)
    elif _SCHEME.match(uri):
        uri = _VERSION.sub("", uri.split("://", 1)[1])
    return uri.rstrip("/").rsplit("/", 1)[-1]


def redact(text: str) -> str:
    """`text` with user names, passwords, queries and fragments of every URI in it taken out."""
    return _SECRETS.sub(r"\1\2", text)
