"""`gs://`: Google Cloud Storage through its own client, as the identity that the environment provides."""

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

import google.auth
from google.api_core import exceptions
from google.auth import credentials as accounts
from google.auth import exceptions as auth_exceptions
from google.cloud import storage
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from requests import exceptions as transport

from model_fetcher.errors import AccessDenied, ErrorTable, Misconfigured, NotFound, Unreachable, Usage, translated
from model_fetcher.sources.base import Content, Timeouts

RANGE = 16 << 20
"""Bytes asked for at once, which is also what is held in memory."""
MAX_NAMES = 1000
"""Objects of a listing that are kept: they only serve as hints. Prefixes, which may be versions, are all kept."""

ERRORS: ErrorTable = {
    exceptions.Unauthorized: (AccessDenied, "{error.message}"),
    exceptions.Forbidden: (AccessDenied, "{error.message}"),
    exceptions.NotFound: (NotFound, "{error.message}"),
    exceptions.TooManyRequests: (Unreachable, "{error.message}"),
    exceptions.ServerError: (Unreachable, "{error.message}"),
    exceptions.GoogleAPIError: (Misconfigured, "{error}"),
    auth_exceptions.TransportError: (Unreachable, "no credentials yet ({error})"),
    auth_exceptions.GoogleAuthError: (AccessDenied, "{error}"),
    transport.SSLError: (Misconfigured, "no trusted TLS connection ({error})"),
    transport.ConnectTimeout: (Unreachable, "no connection in time"),
    transport.ReadTimeout: (Unreachable, "the service stopped sending"),
    transport.RequestException: (
        Unreachable,
        "no connection, or one that broke off; check name resolution, network policies and proxies",
    ),
    DataCorruption: (Unreachable, "damaged on the way ({error})"),
    InvalidResponse: (Unreachable, "{error}"),
}

ANONYMOUS = accounts.AnonymousCredentials(), "anonymous"  # type: ignore[no-untyped-call]
CHANGED: ErrorTable = {exceptions.NotFound: (Unreachable, "changed while it was read")}


class GcsSource:
    """An object or prefix of a bucket."""

    def __init__(self, bucket: str, key: str, client: storage.Client, identity: str, timeouts: Timeouts) -> None:
        self.identity = identity
        self._bucket = client.bucket(bucket)
        self._client = client
        self._key = key.rstrip("/")
        self._timeout = (timeouts.connect, timeouts.read)

    @property
    def place(self) -> str:
        """`gs://bucket/key`."""
        return f"gs://{self._bucket.name}/{self._key}"

    @contextmanager
    def open(self, key: str) -> Iterator[Content]:
        """Read one object, at the generation it has now."""
        name = f"{self._key}/{key}".removeprefix("/") if key else self._key
        where = f"gs://{self._bucket.name}/{name}"
        with translated(ERRORS, where):
            blob = self._bucket.get_blob(name, timeout=self._timeout, retry=None)
        if blob is None:
            raise NotFound(f"{where} does not exist")
        yield Content(self._chunks(blob, where), blob.size, blob.updated)

    def _chunks(self, blob: storage.Blob, where: str) -> Iterator[bytes]:
        with translated({**ERRORS, **CHANGED}, where):
            for start in range(0, blob.size, RANGE):
                yield blob.download_as_bytes(
                    start=start,
                    end=min(start + RANGE, blob.size) - 1,
                    timeout=self._timeout,
                    retry=None,
                    raw_download=True,
                )

    def children(self) -> list[str]:
        """Names below the prefix, one level deep: every prefix, and the first objects."""
        prefix = f"{self._key}/" if self._key else ""
        return [name.removeprefix(prefix) for name in self._list(prefix) if name != prefix]

    def neighbours(self) -> list[str]:
        """Objects and prefixes beside the key; of many, the first ones."""
        parent = self._key.rpartition("/")[0]
        names = self._list(f"{parent}/" if parent else "", MAX_NAMES)
        return [f"gs://{self._bucket.name}/{name}" for name in names]

    def _list(self, prefix: str, max_results: int | None = None) -> list[str]:
        with translated(ERRORS, f"gs://{self._bucket.name}/{prefix}"):
            listing = self._client.list_blobs(
                self._bucket,
                prefix=prefix,
                delimiter="/",
                fields="items/name,prefixes,nextPageToken",
                max_results=max_results,
                timeout=self._timeout,
                retry=None,
            )
            blobs = iter(listing)
            names = [blob.name for blob in islice(blobs, MAX_NAMES)]
            deque(blobs, maxlen=0)  # the prefixes are complete only after the last page
            return sorted([*names, *listing.prefixes])


def open_source(uri: str, timeouts: Timeouts) -> GcsSource:
    """The source of `gs://bucket/key`. Raises Usage when the bucket is missing, AccessDenied for broken credentials."""
    bucket, _, key = uri.partition("://")[2].partition("/")
    if not bucket:
        raise Usage(f"{uri}: expected gs://bucket/key")
    credentials, identity = _credentials()
    with translated(ERRORS, f"gs://{bucket}"):
        client = storage.Client(project="modelport", credentials=credentials)
    return GcsSource(bucket, key, client, identity, timeouts)


def _credentials() -> tuple[accounts.Credentials, str]:
    """Those of the environment; anonymous where there are none, and for an emulator, which asks for none."""
    if os.environ.get("STORAGE_EMULATOR_HOST"):
        return ANONYMOUS
    try:
        with translated({auth_exceptions.TransportError: (Unreachable, "{error}")}, "credentials"):
            found, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/devstorage.read_only"])
    except auth_exceptions.DefaultCredentialsError as error:
        if os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"):
            raise AccessDenied(f"GOOGLE_APPLICATION_CREDENTIALS cannot be used: {error}") from error
        return ANONYMOUS
    return found, getattr(found, "service_account_email", None) or type(found).__name__
