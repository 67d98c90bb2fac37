"""`gs://` through Google's own client, which also tries again and checks what arrived."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

import google.auth
from google.api_core import exceptions
from google.auth import credentials as accounts
from google.auth import exceptions as auth_exceptions
from google.cloud import storage
from google.cloud.storage.retry import DEFAULT_RETRY
from requests import exceptions as transport

from model_artifact.delivery import (
    AccessDenied,
    DeliveryError,
    ErrorTable,
    NotFound,
    Unreachable,
    translated,
)
from modelport.pushing.errors import Taken
from modelport.pushing.places import bucket_and_key
from modelport.pushing.store import File, Moved, Stored

SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
PART = 16 << 20
"""Bytes that are sent, and sent again when they were lost, at a time."""
RETRY = DEFAULT_RETRY.with_timeout(120)
TIMEOUT = (10, 60)

ERRORS: ErrorTable = {
    exceptions.Unauthorized: (AccessDenied, "{error}"),
    exceptions.Forbidden: (AccessDenied, "{error}"),
    exceptions.NotFound: (NotFound, "no such bucket, or an object that has gone ({error})"),
    exceptions.PreconditionFailed: (Taken, "exists"),
    exceptions.GoogleAPIError: (Unreachable, "{error}"),
    auth_exceptions.GoogleAuthError: (AccessDenied, "{error}"),
    transport.RequestException: (Unreachable, "no connection, or one that broke off ({error})"),
    ConnectionError: (Unreachable, "no connection, or one that broke off ({error})"),
}


class _Told(io.BufferedReader):
    """A file that tells how far it was read."""

    def __init__(self, file: File, moved: Moved) -> None:
        super().__init__(io.FileIO(file.path))
        self._moved = moved

    def read(self, size: int | None = -1, /) -> bytes:
        """Read and tell."""
        data = super().read(size)
        self._moved(self.tell())
        return data


class GcsStore:
    """The folder of one version."""

    def __init__(self, uri: str, client: storage.Client, identity: str) -> None:
        bucket, self._folder = bucket_and_key(uri)
        self.uri = uri
        self._bucket = client.bucket(bucket)
        self._identity = identity

    def stat(self, key: str) -> Stored | None:
        """Look at the object's metadata."""
        with self._asking(key):
            blob = self._bucket.get_blob(self._name(key), timeout=TIMEOUT, retry=RETRY)
        return Stored(blob.size, (blob.metadata or {}).get("sha256")) if blob else None

    def chunks(self, key: str) -> Iterator[bytes]:
        """Read in parts."""
        with self._asking(key), self._bucket.blob(self._name(key)).open("rb", chunk_size=PART, retry=RETRY) as reader:
            while chunk := reader.read(PART):
                yield chunk

    def put(self, file: File, moved: Moved, *, replace: bool) -> None:
        """Upload, on condition that there is none unless `replace`."""
        blob = self._bucket.blob(self._name(file.key), chunk_size=PART)
        blob.metadata = {"sha256": file.sha256}
        with self._asking(file.key), _Told(file, moved) as reader:
            blob.upload_from_file(
                reader,
                size=file.size,
                if_generation_match=None if replace else 0,
                retry=RETRY,
                timeout=TIMEOUT,
            )

    def delete(self, key: str) -> None:
        """Remove one; the API, unlike S3's, refuses to when it has gone."""
        with self._asking(key), suppress(exceptions.NotFound):
            self._bucket.blob(self._name(key)).delete(timeout=TIMEOUT, retry=RETRY)

    def _name(self, key: str) -> str:
        return f"{self._folder}/{key}"

    @contextmanager
    def _asking(self, key: str) -> Iterator[None]:
        try:
            with translated(ERRORS, f"{self.uri}/{key}"):
                yield
        except DeliveryError as error:
            if isinstance(error, AccessDenied):
                raise AccessDenied(f"{error} (asked as {self._identity})") from error
            raise


def open_store(uri: str) -> GcsStore:
    """The store of `gs://bucket/folder`. Raises AccessDenied when there are no credentials."""
    credentials, identity = _credentials()
    return GcsStore(uri, storage.Client(project="modelport", credentials=credentials), identity)


def _credentials() -> tuple[accounts.Credentials, str]:
    """Those of the environment; an emulator asks for none."""
    if os.environ.get("STORAGE_EMULATOR_HOST"):
        return accounts.AnonymousCredentials(), "anonymous"  # type: ignore[no-untyped-call]
    try:
        found, _ = google.auth.default(scopes=[SCOPE])
    except auth_exceptions.GoogleAuthError as error:
        raise AccessDenied(
            f"no Google credentials to write with ({error}): run `gcloud auth application-default login`, "
            "or name a key file in GOOGLE_APPLICATION_CREDENTIALS"
        ) from error
    return cast("Any", found), getattr(found, "service_account_email", None) or type(found).__name__
