"""`gs://`: Google Cloud Storage through its JSON interface, as the identity that Google's own library finds.

The library gives credentials only: its storage client takes half a second to import and hands out no part of an object
before it is whole, while requests through `web` share their proxies, authorities and retries with the other schemes.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any
from urllib.parse import quote, urlencode

import google.auth
import urllib3
from google.auth import credentials as accounts
from google.auth import exceptions
from google.auth.transport.urllib3 import Request

from model_fetcher.errors import (
    AccessDenied,
    Changed,
    ErrorTable,
    Expired,
    FetchError,
    NotFound,
    Unreachable,
    Usage,
    translated,
)
from model_fetcher.sources.base import Access, Ask, Content, Entry
from model_fetcher.sources.login import Anonymous, Caller, Login
from model_fetcher.sources.parts import ANSWERED, content, range_header
from model_fetcher.sources.web import WebClient, status_error

SERVICE = "https://storage.googleapis.com"
SCOPES = ("https://www.googleapis.com/auth/devstorage.read_only",)
MAX_HINTS = 1000
"""Objects of a listing that are kept where they only serve as hints."""
MAX_BODY = 64 << 10
"""Bytes read of an answer that explains a failure."""

ERRORS: ErrorTable = {
    exceptions.TransportError: (Unreachable, "no credentials yet ({error})"),
    exceptions.RefreshError: (AccessDenied, "the credentials cannot be renewed ({error})"),
    exceptions.GoogleAuthError: (AccessDenied, "{error}"),
}


class Account:
    """A Google identity. Tokens are renewed before they expire, and again when the service says so."""

    def __init__(self, credentials: accounts.Credentials, client: WebClient) -> None:
        self._credentials = credentials
        self._request = Request(client.pool(SERVICE))  # type: ignore[no-untyped-call]
        self._lock = Lock()
        self.identity = getattr(credentials, "service_account_email", None) or type(credentials).__name__

    def sign(self, url: str, headers: dict[str, str], scope: str = "") -> dict[str, str]:  # noqa: ARG002
        """Add the token."""
        signed = dict(headers)
        with self._lock, translated(ERRORS, "Google credentials"):
            self._credentials.before_request(self._request, "GET", url, signed)  # type: ignore[no-untyped-call]
        return signed

    def renew(self) -> None:
        """Get another token."""
        with self._lock, translated(ERRORS, "Google credentials"):
            self._credentials.refresh(self._request)  # type: ignore[no-untyped-call]


class GcsSource:
    """An object or prefix of a bucket; `#123` at the end of the URI is the generation of an object."""

    def __init__(self, uri: str, access: Access) -> None:
        place, _, self._generation = uri.partition("#")
        bucket, _, key = place.partition("://")[2].partition("/")
        if not bucket or not (self._generation or "0").isdigit():
            raise Usage(f"{uri}: expected gs://bucket/key, or gs://bucket/key#generation")
        self._bucket, self._key = bucket, key.rstrip("/")
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
        return f"gs://{self._bucket}/{self._key}"

    @contextmanager
    def open(self, ask: Ask) -> Iterator[Content]:
        """Read one object, at the generation it has now."""
        name = f"{self._key}/{ask.key}".removeprefix("/") if ask.key else self._key
        subject = f"gs://{self._bucket}/{name}"
        path = f"storage/v1/b/{quote(self._bucket, safe='')}/o/{quote(name, safe='')}"
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
        """Names below the prefix, one level deep: every prefix, and the first objects."""
        prefix = f"{self._key}/" if self._key else ""
        return [name.removeprefix(prefix) for name in self._level(prefix) if name != prefix]

    def neighbours(self) -> list[str]:
        """Objects and prefixes beside the key; of many, the first ones."""
        parent = self._key.rpartition("/")[0]
        return [f"gs://{self._bucket}/{name}" for name in self._level(f"{parent}/" if parent else "", pages=1)]

    def objects(self) -> Iterator[Entry]:
        """Objects below the prefix; markers of folders are left out."""
        prefix = f"{self._key}/" if self._key else ""
        for page in self._pages({"prefix": prefix, "fields": "items(name,size),nextPageToken"}):
            for item in page.get("items", ()):
                if not item["name"].endswith("/"):
                    yield Entry(item["name"].removeprefix(prefix), int(item["size"]))

    def _level(self, prefix: str, pages: int | None = None) -> list[str]:
        query = {"prefix": prefix, "delimiter": "/", "fields": "items/name,prefixes,nextPageToken"}
        names: list[str] = []
        folders: list[str] = []
        for number, page in enumerate(self._pages(query), start=1):
            names += [item["name"] for item in page.get("items", ())][: MAX_HINTS - len(names)]
            folders += page.get("prefixes", ())
            if number == pages:
                break
        return sorted([*names, *folders])

    def _pages(self, query: dict[str, str]) -> Iterator[dict[str, Any]]:
        url = f"{self._service}/storage/v1/b/{quote(self._bucket, safe='')}/o"
        token: dict[str, str] = {}
        while True:
            page = self._json(url, query | token, f"gs://{self._bucket}/{query['prefix']}")
            yield page
            if not page.get("nextPageToken"):
                return
            token = {"pageToken": page["nextPageToken"]}

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


def _error(response: urllib3.BaseHTTPResponse, subject: str, *, gone: bool) -> FetchError:
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
    """Whom the environment names; nobody where it names none, and for an emulator, which does not ask."""
    if os.environ.get("STORAGE_EMULATOR_HOST") or access.auth == "anonymous":
        return Anonymous()
    try:
        with translated({exceptions.TransportError: (Unreachable, "{error}")}, "Google credentials"):
            request = Request(client.pool(SERVICE))  # type: ignore[no-untyped-call]
            found, _ = google.auth.default(scopes=SCOPES, request=request)
    except exceptions.DefaultCredentialsError as error:
        if os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"):
            raise AccessDenied(f"GOOGLE_APPLICATION_CREDENTIALS cannot be used: {error}") from error
        if access.auth == "credentials":
            raise AccessDenied(f"the environment names no Google credentials: {error}") from error
        return Anonymous()
    return Account(found, client)


def open_source(uri: str, access: Access) -> GcsSource:
    """The source of `gs://bucket/key`. Raises Usage when the bucket is missing, AccessDenied for broken credentials."""
    return GcsSource(uri, access)
