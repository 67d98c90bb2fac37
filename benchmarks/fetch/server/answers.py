"""What the three protocols have in common: a request, an answer, and an object or a range of one."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.fetch.server.blob import Object


@dataclass(frozen=True)
class Request:
    """A request without a body; `path` and `query` are decoded, names of headers are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    host: str


@dataclass(frozen=True)
class Slice:
    """Bytes of the blob."""

    offset: int
    size: int


@dataclass(frozen=True)
class Answer:
    """A status, headers, and either bytes or a slice of the blob."""

    status: int
    body: bytes | Slice = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return self.body.size if isinstance(self.body, Slice) else len(self.body)


def content(request: Request, item: Object, headers: Mapping[str, str]) -> Answer:
    """An object, or the range of it that the request names."""
    common = {
        "Content-Type": "application/octet-stream",
        "Accept-Ranges": "bytes",
        "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT",
        "ETag": f'"{item.etag}"',
        **headers,
    }
    wanted = request.headers.get("range")
    if wanted is None:
        return Answer(200, Slice(item.offset, item.size), common)
    first, _, last = wanted.removeprefix("bytes=").partition("-")
    start = int(first) if first else item.size - int(last)
    end = min(int(last), item.size - 1) if first and last else item.size - 1
    if start >= item.size or end < start:
        return Answer(416, b"", {"Content-Range": f"bytes */{item.size}"})
    ranged = {"Content-Range": f"bytes {start}-{end}/{item.size}"}
    return Answer(206, Slice(item.offset + start, end - start + 1), common | ranged)
