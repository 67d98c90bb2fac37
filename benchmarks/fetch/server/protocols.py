"""The three protocols, as far as their clients need them to download: a web server, GCS's JSON API, and S3.

Sources: the reference of the Cloud Storage JSON API (objects: list, get), the Amazon S3 API reference (ListObjects,
ListObjectsV2, HeadObject, GetObject).
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from xml.sax.saxutils import escape

from benchmarks.fetch.server.answers import Answer, Request, content
from benchmarks.fetch.server.blob import Blob, Object

BUCKET = "models"
PAGE = 1000
"""Objects in one page of a listing, as the real stores have it."""
GCS_METADATA, GCS_MEDIA = "/storage/v1/b/", "/download/storage/v1/b/"
WEB = "/web/"
MODIFIED = "2026-01-01T00:00:00.000Z"


@dataclass(frozen=True)
class Page:
    """A page of a listing: the objects and folders of it, and the key that it goes on after, if it does."""

    objects: list[tuple[str, Object]]
    folders: list[str]
    next_key: str | None


def answer(blob: Blob, request: Request) -> Answer:
    """Answer by the protocol that the path belongs to; whatever is left is S3's."""
    for prefix, protocol in PROTOCOLS.items():
        if request.path.startswith(prefix):
            return protocol(blob, request)
    return Answer(404)


def web(blob: Blob, request: Request) -> Answer:
    """`/web/KEY`."""
    item = blob.objects.get(request.path.removeprefix(WEB))
    return content(request, item, {}) if item else Answer(404)


def gcs(blob: Blob, request: Request) -> Answer:
    """`b/BUCKET`, `b/BUCKET/o` and `b/BUCKET/o/KEY`, metadata or content."""
    media = request.path.startswith(GCS_MEDIA)
    bucket, _, rest = request.path.removeprefix(GCS_MEDIA if media else GCS_METADATA).partition("/")
    if bucket != BUCKET:
        return _json({"error": {"code": 404, "message": "no such bucket"}}, 404)
    if not rest:
        return _json({"kind": "storage#bucket", "name": BUCKET, "id": BUCKET})
    key = rest.removeprefix("o").removeprefix("/")
    if not key:
        return _gcs_list(blob, request)
    item = blob.objects.get(key)
    if item is None:
        return _json({"error": {"code": 404, "message": "no such object"}}, 404)
    if media or request.query.get("alt") == "media":
        hashes = {"X-Goog-Hash": f"crc32c={item.crc32c},md5={item.md5}", "X-Goog-Generation": "1"}
        return content(request, item, hashes)
    return _json(_resource(request, key, item))


def _gcs_list(blob: Blob, request: Request) -> Answer:
    page = _page(blob, request, request.query.get("pageToken", ""), int(request.query.get("maxResults", PAGE)))
    document: dict[str, object] = {
        "kind": "storage#objects",
        "items": [_resource(request, key, item) for key, item in page.objects],
        "prefixes": page.folders,
    }
    return _json(document | ({"nextPageToken": page.next_key} if page.next_key else {}))


def _resource(request: Request, key: str, item: Object) -> dict[str, str]:
    quoted = key.replace("/", "%2F")
    return {
        "kind": "storage#object",
        "id": f"{BUCKET}/{key}/1",
        "name": key,
        "bucket": BUCKET,
        "generation": "1",
        "metageneration": "1",
        "size": str(item.size),
        "md5Hash": item.md5,
        "crc32c": item.crc32c,
        "etag": item.etag,
        "timeCreated": MODIFIED,
        "updated": MODIFIED,
        "mediaLink": f"http://{request.host}{GCS_MEDIA}{BUCKET}/o/{quoted}?generation=1&alt=media",
    }


def s3(blob: Blob, request: Request) -> Answer:
    """`/BUCKET` and `/BUCKET/KEY`, path style."""
    key = request.path.removeprefix(f"/{BUCKET}").removeprefix("/")
    if key:
        item = blob.objects.get(key)
        return content(request, item, {}) if item else _xml("<Error><Code>NoSuchKey</Code></Error>", 404)
    if request.method == "HEAD":
        return Answer(200)
    if "location" in request.query:
        return _xml("<LocationConstraint/>")
    return _s3_list(blob, request)


def _s3_list(blob: Blob, request: Request) -> Answer:
    after = request.query.get("continuation-token") or request.query.get("start-after") or request.query.get("marker")
    page = _page(blob, request, after or "", int(request.query.get("max-keys", PAGE)))
    more = escape(page.next_key or "")
    return _xml(
        "<ListBucketResult>"
        f"<Name>{BUCKET}</Name><IsTruncated>{str(bool(more)).lower()}</IsTruncated>"
        f"<KeyCount>{len(page.objects)}</KeyCount><MaxKeys>{PAGE}</MaxKeys>"
        + (f"<NextMarker>{more}</NextMarker><NextContinuationToken>{more}</NextContinuationToken>" if more else "")
        + "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>{MODIFIED}</LastModified>"
            f"<ETag>&quot;{item.etag}&quot;</ETag><Size>{item.size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
            for key, item in page.objects
        )
        + "".join(f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in page.folders)
        + "</ListBucketResult>"
    )


def _page(blob: Blob, request: Request, after: str, size: int) -> Page:
    prefix, delimiter = request.query.get("prefix", ""), request.query.get("delimiter", "")
    objects: list[tuple[str, Object]] = []
    folders: list[str] = []
    for key in _keys(blob, prefix, after):
        below = key.removeprefix(prefix)
        if delimiter and delimiter in below:
            folder = prefix + below.partition(delimiter)[0] + delimiter
            if folder not in folders:
                folders.append(folder)
            continue
        if len(objects) == size:
            return Page(objects, folders, objects[-1][0])
        objects.append((key, blob.objects[key]))
    return Page(objects, folders, None)


def _keys(blob: Blob, prefix: str, after: str) -> Iterator[str]:
    return (key for key in sorted(blob.objects) if key.startswith(prefix) and key > after)


def _json(document: object, status: int = 200) -> Answer:
    return Answer(status, json.dumps(document).encode(), {"Content-Type": "application/json; charset=UTF-8"})


def _xml(text: str, status: int = 200) -> Answer:
    return Answer(status, f'<?xml version="1.0"?>{text}'.encode(), {"Content-Type": "application/xml"})


PROTOCOLS: dict[str, Callable[[Blob, Request], Answer]] = {
    WEB: web,
    GCS_METADATA: gcs,
    GCS_MEDIA: gcs,
    f"/{BUCKET}": s3,
}
