"""Which file serves which scheme. A new scheme is a file beside this one and a line in the table."""

import difflib
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from model_artifact.delivery import Usage, translated
from model_fetcher.sources.base import Access, Source
from model_fetcher.uris import redact, scheme_of


@dataclass(frozen=True)
class Scheme:
    """The module whose `open_source(uri, access)` gives the source, and the extra that brings its client."""

    module: str
    extra: str = ""


SCHEMES = {
    "file": Scheme("local"),
    "http": Scheme("http"),
    "https": Scheme("http"),
    "gs": Scheme("gcs", extra="gcs"),
    "s3": Scheme("s3", extra="s3"),
}


def open_source(uri: str, access: Access) -> Source:
    """Return the source of a URI; clients are imported only when their scheme is used.

    Raises:
        Usage: an unknown scheme, or one whose client is not installed.
        DeliveryError: no credentials, or a URI that the scheme cannot read.
    """
    name = scheme_of(uri)
    scheme = SCHEMES.get(name)
    if scheme is None:
        near = difflib.get_close_matches(name, SCHEMES, n=1)
        hint = f" (did you mean {near[0]}://?)" if near else ""
        known = ", ".join(f"{each}://" for each in SCHEMES)
        raise Usage(f"{redact(uri)}: scheme {name!r} is not known{hint}; use {known} or a path")
    try:
        module = import_module(f"model_fetcher.sources.{scheme.module}")
        with translated({ValueError: (Usage, "is not a usable URI ({error})")}, redact(uri)):
            return cast("Source", module.open_source(uri, access))
    except ImportError as error:
        raise Usage(
            f"{name}:// needs a package that is not installed ({error.name}): pip install 'modelport[{scheme.extra}]'"
        ) from error
