"""`gs://`: Google Cloud Storage through its JSON interface, as the identity that Google's own library finds.

The bytes go through `web`, with the proxies, authorities and retries of the other schemes: Google's own client takes
half a second to import, and hands out no part of an object before it is whole.
"""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode

import urllib3

from model_artifact.delivery import DeliveryError, NotFound, Unreachable, Usage, translated
from model_fetcher.errors import Changed, Expired
from model_fetcher.sources.base import Access, Ask, Content, Entry
from model_fetcher.sources.bucket import Page, Spot
from model_fetcher.sources.login import Anonymous, Caller, Login
from model_fetcher.sources.parts import ANSWERED, content, range_header
from model_fetcher.sources.web import WebClient, status_error

SERVICE = "https://storage.googleapis.com"
MAX_BODY = 64 << 10
"""Bytes read of an answer that explains a failure."""


class GcsSource:
    """An object or prefix of a bucket; `#123` at the end of the URI is the generation of an object."""

    def __init__(self, uri: str, access: Access) -> None:
        place, _, self._generation = uri.partition("#")
        if not (self._generation or "0").isdigit():
            raise Usage(f"{uri}: expected gs://bucket/key, or gs://bucket/key#generation")
        self._at = Spot.of(place)
        self._client = WebClient(access)
        self._service = os.environ.get("STORAGE_EMULATOR_HOST", "").rstrip("/") or SERVICE
        if "://" not in self._service:
            self._service = f"http://{self._service}"
        self._tells = True
        """Whether answers tell the generation, so that asking for it is not needed."""
        self._caller = Caller(_login(self._client, access), access.auth, access.notify)

    @property
    def identity(self) -> str:
        """The account."""
        return self._caller.identity

    @property
    def place(self) -> str:
        """`gs://bucket/key`."""
        return self._at.uri(self._at.key)

    @contextmanager
    def open(self, ask: Ask) -> Iterator[Content]:
        """Read one object, at the generation it has now."""
        name = self._at.name(ask.key)
        subject = self._at.uri(name)
        path = f"storage/v1/b/{quote(self._at.bucket, safe='')}/o/{quote(name, safe='')}"
        if self._tells:
            with self._media(path, ask, subject) as response:
                version = response.headers.get("x-goog-generation", "")
                if version or response.status not in {200, 206}:
                    yield content(response, ask, subject, version, lambda: self._client.chunks(response, subject))
                    return
            self._tells = False  # as those of emulators and of some proxies
        version = str(self._json(f"{self._service}/{path}", {"fields": "generation"}, subject).get("generation", ""))
        with self._media(path, ask, subject) as response:
            yield content(response, ask, subject, version, lambda: self._client.chunks(response, subject))

    @contextmanager
    def _media(self, path: str, ask: Ask, subject: str) -> Iterator[urllib3.BaseHTTPResponse]:
        query = {"alt": "media"} | _generation("generation", ask.version or self._generation)
        query |= _generation("ifGenerationNotMatch", ask.known)
        # Objects that were stored compressed come as they are stored, and so in parts.
        headers = {"Accept-Encoding": "gzip"} | range_header(ask)
        url = f"{self._service}/download/{path}?{urlencode(query)}"
        with self._ask(url, headers, subject, ANSWERED, gone=bool(ask.version)) as response:
            yield response

    def children(self) -> list[str]:
        """Names below the prefix, one level deep."""
        return self._at.below(self._pages(self._at.prefix, delimiter="/"))

    def neighbours(self) -> list[str]:
        """Objects and prefixes beside the key."""
        return self._at.beside(self._pages(self._at.parent, delimiter="/"))

    def objects(self) -> Iterable[Entry]:
        """Objects below the prefix."""
        return self._at.entries(self._pages(self._at.prefix))

    def _pages(self, prefix: str, **level: str) -> Iterator[Page]:
        url = f"{self._service}/storage/v1/b/{quote(self._at.bucket, safe='')}/o"
        query = {"prefix": prefix, "fields": "items(name,size),prefixes,nextPageToken", **level}
        while True:
            page = self._json(url, query, self._at.uri(prefix))
            items = [Entry(item["name"], int(item.get("size", 0))) for item in page.get("items", ())]
            yield Page(items, list(page.get("prefixes", ())))
            if not page.get("nextPageToken"):
                return
            query["pageToken"] = page["nextPageToken"]

    def _json(self, url: str, query: dict[str, str], subject: str) -> dict[str, Any]:
        with (
            self._ask(f"{url}?{urlencode(query)}", {}, subject) as response,
            translated({ValueError: (Unreachable, "the answer is no JSON ({error})")}, subject),
        ):
            data: dict[str, Any] = json.loads(b"".join(self._client.chunks(response, subject)))
            return data

    @contextmanager
    def _ask(
        self,
        url: str,
        headers: dict[str, str],
        subject: str,
        answered: frozenset[int] = frozenset({200}),
        *,
        gone: bool = False,
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        @contextmanager
        def send(login: Login) -> Iterator[urllib3.BaseHTTPResponse]:
            with self._client.get(url, login.sign(url, headers), subject) as response:
                if response.status not in answered:
                    raise _error(response, subject, gone=gone)
                yield response

        with self._caller.ask(send) as response:
            yield response


def _generation(name: str, value: str) -> dict[str, str]:
    return {name: value} if value else {}


def _error(response: urllib3.BaseHTTPResponse, subject: str, *, gone: bool) -> DeliveryError:
    if response.status == 404:
        if gone:
            return Changed(f"{subject} changed while it was read")
        return NotFound(f"{subject} does not exist")
    try:
        text = json.loads(response.read(MAX_BODY))["error"]["message"]
    except (ValueError, LookupError, TypeError, urllib3.exceptions.HTTPError):
        text = ""
    error = status_error(response, subject, str(text))
    return Expired(str(error)) if response.status == 401 else error


def _login(client: WebClient, access: Access) -> Login:
    """Whom the environment names. Google's library, which takes a while, is needed only where anybody is asked for."""
    if os.environ.get("STORAGE_EMULATOR_HOST") or access.auth == "anonymous":
        return Anonymous()
    from model_fetcher.sources.gcs_account import google_login  # noqa: PLC0415

    return google_login(client, access.auth)


def open_source(uri: str, access: Access) -> GcsSource:
    """The source of `gs://bucket/key`. Raises Usage when the bucket is missing, AccessDenied for broken credentials."""
    return GcsSource(uri, access)
