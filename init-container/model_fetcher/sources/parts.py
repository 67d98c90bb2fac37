"""Part requests over HTTP: which headers ask for them, and what an answer then holds."""

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime

import urllib3

from model_artifact.delivery import Unreachable
from model_fetcher.errors import Changed
from model_fetcher.sources.base import Ask, Checksum, Content
from model_fetcher.sources.web import status_error

_RANGE = re.compile(r"bytes (?:(\d+)-(-?\d+)|\*)/(\d+|\*)")
CHECKSUMS = (
    ("sha256", 32, "Repr-Digest", re.compile(r"\bsha-256=:([^:]+):")),
    ("sha256", 32, "x-amz-checksum-sha256", re.compile(r"^([^-]+)$")),
    ("md5", 16, "x-goog-hash", re.compile(r"\bmd5=([^,\s]+)")),
)
"""Where stores put a hash of the whole object, in base64, and its bytes; S3 adds a `-` to one that is made of parts."""

ANSWERED = frozenset({200, 206, 304, 412, 416})


def range_header(ask: Ask) -> dict[str, str]:
    """`Range`, where not the whole object is asked for."""
    if ask.start == 0 and ask.stop is None:
        return {}
    return {"Range": f"bytes={ask.start}-{'' if ask.stop is None else ask.stop - 1}"}


def content(
    response: urllib3.BaseHTTPResponse,
    ask: Ask,
    subject: str,
    version: str,
    chunks: Callable[[], Iterator[bytes]],
) -> Content:
    """What an answer holds.

    Args:
        response: one of the statuses in ANSWERED.
        ask: what was asked for.
        subject: the object's address, for messages.
        version: the one that the answer tells.
        chunks: reads its body.

    Raises:
        Changed: it is not the version that was asked for, or too short by now.
        DeliveryError: a status that is no answer.
    """
    if response.status not in ANSWERED or (response.status == 412 and not ask.version):
        raise status_error(response, subject)
    start, stop, size = _extent(response, ask, subject)
    if response.status == 304 or (ask.known and version == ask.known):
        return Content(iter(()), version=ask.known, unchanged=True)
    if ask.version and (response.status == 412 or version != ask.version):
        raise Changed(f"{subject} changed while it was read")
    if size == 0:
        return Content(iter(()), stop=0, size=0, version=version, modified=modified(response.headers))
    if response.status == 416:
        raise Changed(f"{subject} is shorter than it was")
    return Content(
        chunks(),
        start=start,
        stop=stop,
        size=size,
        version=version,
        modified=modified(response.headers),
        checksum=checksum(response.headers),
        cancel=lambda: _shut(response),
    )


def _shut(response: urllib3.BaseHTTPResponse) -> None:
    with suppress(ValueError, RuntimeError, OSError):  # read to its end, or closed already
        response.shutdown()


def _extent(response: urllib3.BaseHTTPResponse, ask: Ask, subject: str) -> tuple[int, int | None, int | None]:
    """Where the body starts and stops in the object, and the size of the whole object."""
    if response.status not in {206, 416}:
        length = response.headers.get("Content-Length", "")
        size = int(length) if length.isdigit() else None
        return 0, size, size
    match = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    first, last, total = match.groups() if match else (None, None, None)
    size = int(total) if total and total != "*" else None
    if response.status == 416 or size == 0:
        # Nothing from the very start on means that there is nothing; not every store says so in a header.
        return ask.start, ask.start, 0 if ask.start == 0 else size
    if first is None or int(first) != ask.start:
        raise Unreachable(f"{subject}: the server answered with another part than was asked for")
    return ask.start, int(last or 0) + 1, size


def modified(headers: Mapping[str, str]) -> datetime | None:
    """When the object was changed, where the headers tell."""
    try:
        return parsedate_to_datetime(headers.get("Last-Modified", ""))
    except ValueError:
        return None


def checksum(headers: Mapping[str, str]) -> Checksum | None:
    """What the whole object hashes to, where the headers tell."""
    for algorithm, size, name, pattern in CHECKSUMS:
        match = pattern.search(headers.get(name, ""))
        with suppress(NotBase64):
            digest = b64decode(match[1], validate=True) if match is not None else b""
            if len(digest) == size:
                return Checksum(algorithm, digest.hex())
    return None
