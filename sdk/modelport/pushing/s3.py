"""`s3://` on AWS or anything that speaks its protocol, through boto3, which tries again and sends parts at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore import exceptions
from botocore.config import Config

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

CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 8},
    connect_timeout=10,
    read_timeout=60,
    max_pool_connections=32,
)
PART = 16 << 20
"""Bytes; what is larger is sent in parts of this size."""
PARTS = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=4)
ONLY_NEW = {"IfNoneMatch": "*"}
"""The condition that there is no such object yet."""

ERRORS: ErrorTable = {
    exceptions.NoCredentialsError: (
        AccessDenied,
        "no AWS credentials to write with: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    ),
    exceptions.BotoCoreError: (Unreachable, "{error}"),
    Boto3Error: (Unreachable, "{error}"),
}
STATUSES: dict[int, tuple[type[DeliveryError], str]] = {
    400: (AccessDenied, "{error}"),
    401: (AccessDenied, "{error}"),
    403: (AccessDenied, "{error}"),
    404: (NotFound, "no such bucket, or an object that has gone ({error})"),
    409: (Taken, "exists"),
    412: (Taken, "exists"),
}
"""400 is how expired and malformed tokens are answered, 409 what comes while another conditional write is under way."""


class S3Store:
    """The folder of one version. `creating` is a client whose uploads in parts are conditional."""

    def __init__(self, uri: str, client: Any, creating: Any, identity: str) -> None:
        self.uri = uri
        self._bucket, self._folder = bucket_and_key(uri)
        self._client, self._creating = client, creating
        self._identity = identity

    def stat(self, key: str) -> Stored | None:
        """Look at the object's metadata."""
        try:
            with self._asking(key):
                head = self._client.head_object(Bucket=self._bucket, Key=self._name(key))
        except NotFound:
            return None
        return Stored(head["ContentLength"], head["Metadata"].get("sha256"))

    def chunks(self, key: str) -> Iterator[bytes]:
        """Read as it comes."""
        with self._asking(key):
            yield from self._client.get_object(Bucket=self._bucket, Key=self._name(key))["Body"].iter_chunks(1 << 20)

    def put(self, file: File, moved: Moved, *, replace: bool) -> None:
        """Upload, on condition that there is none unless `replace`."""
        where = {"Bucket": self._bucket, "Key": self._name(file.key)}
        noted = {"Metadata": {"sha256": file.sha256}}
        with self._asking(file.key):
            if file.size > PART:
                client = self._client if replace else self._creating
                client.upload_file(str(file.path), **where, ExtraArgs=noted, Callback=_Sum(moved), Config=PARTS)
                return
            with file.path.open("rb") as body:
                self._client.put_object(**where, **noted, Body=body, **({} if replace else ONLY_NEW))

    def delete(self, key: str) -> None:
        """Remove one."""
        with self._asking(key):
            self._client.delete_object(Bucket=self._bucket, Key=self._name(key))

    def _name(self, key: str) -> str:
        return f"{self._folder}/{key}"

    @contextmanager
    def _asking(self, key: str) -> Iterator[None]:
        where = f"{self.uri}/{key}"
        try:
            with translated(ERRORS, where):
                yield
        except (exceptions.ClientError, DeliveryError) as error:
            raise self._translated(error, where) from error

    def _translated(self, error: Exception, where: str) -> DeliveryError:
        answer = _answer(error)
        if answer is None:
            return error if isinstance(error, DeliveryError) else Unreachable(f"{where}: {error}")
        status = answer.response["ResponseMetadata"]["HTTPStatusCode"]
        kind, sentence = STATUSES.get(status, (Unreachable, "{error}"))
        who = f" (asked as {self._identity})" if kind is AccessDenied else ""
        return kind(f"{where}: {sentence.format(error=answer)}{who}")


class _Sum:
    """Adds up what boto3 tells in pieces."""

    def __init__(self, moved: Moved) -> None:
        self._moved = moved
        self._size = 0

    def __call__(self, size: int) -> None:
        self._size += size
        self._moved(self._size)


def _answer(error: BaseException | None) -> exceptions.ClientError | None:
    """The service's answer behind an error; the transfer manager hides it one or two causes deep."""
    while error is not None and not isinstance(error, exceptions.ClientError):
        error = error.__cause__ or error.__context__
    return error


def open_store(uri: str) -> S3Store:
    """The store of `s3://bucket/folder`; endpoint, region and credentials are those that AWS's tools would use."""
    session = boto3.session.Session()
    with translated(ERRORS, uri):
        found = session.get_credentials()
        client, creating = (session.client("s3", config=CONFIG) for _ in range(2))
    # The transfer manager takes no conditions; this call, its last, is the one that makes the object appear.
    creating.meta.events.register("provide-client-params.s3.CompleteMultipartUpload", _only_new)
    return S3Store(uri, client, creating, f"access key {found.access_key}" if found else "nobody")


def _only_new(params: dict[str, Any], **_: Any) -> dict[str, Any]:
    return params | ONLY_NEW
