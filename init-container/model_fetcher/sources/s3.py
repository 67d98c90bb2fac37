"""`s3://`: Amazon's object storage and everything that speaks its protocol, as the identity that botocore finds.

botocore finds credentials (environment, profiles, web identity, containers, instances) and signs; the bytes go through
`web`. Its client, or boto3's, would load the descriptions of the whole service before the first byte, hold parts in
memory, and have its own ideas of proxies and retries.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

import urllib3

from model_fetcher.errors import Unreachable, Usage, translated
from model_fetcher.sources.base import Access, Ask, Content, Entry
from model_fetcher.sources.login import Caller, Login
from model_fetcher.sources.parts import ANSWERED, content, range_header
from model_fetcher.sources.s3_account import aws_login
from model_fetcher.sources.s3_endpoint import Endpoint, endpoint_of
from model_fetcher.sources.s3_errors import s3_error
from model_fetcher.sources.web import CA_VARIABLES, WebClient

VERSION_ID = "?versionId="
MAX_HINTS = 1000
"""Objects of a listing that are kept where they only serve as hints."""


class S3Source:
    """An object or prefix of a bucket; `?versionId=...` at the end of the URI is the version of an object."""

    def __init__(self, uri: str, access: Access) -> None:
        place, _, self._version_id = uri.partition(VERSION_ID)
        self._bucket, _, key = place.partition("://")[2].partition("/")
        if not self._bucket:
            raise Usage(f"{uri}: expected s3://bucket/key")
        self._key = key.rstrip("/")
        self._endpoint: Endpoint = endpoint_of()
        self._client = WebClient(access, ("AWS_CA_BUNDLE", *CA_VARIABLES), verify=self._endpoint.verify)
        self._caller = Caller(aws_login(access), access.auth, access.notify)

    @property
    def identity(self) -> str:
        """The access key, or the role, and where it comes from."""
        return self._caller.identity

    @property
    def place(self) -> str:
        """`s3://bucket/key`."""
        return f"s3://{self._bucket}/{self._key}"

    @contextmanager
    def open(self, ask: Ask) -> Iterator[Content]:
        """Read one object, at the version it has now."""
        name = f"{self._key}/{ask.key}".removeprefix("/") if ask.key else self._key
        subject = f"s3://{self._bucket}/{name}"
        query = {"versionId": self._version_id} if self._version_id else {}
        headers = {"x-amz-checksum-mode": "ENABLED"} | range_header(ask)
        headers |= {"If-Match": ask.version} if ask.version else {}
        headers |= {"If-None-Match": ask.known} if ask.known else {}
        with self._ask(name, query, headers, subject, ANSWERED) as response:
            version = response.headers.get("ETag", "")
            yield content(response, ask, subject, version, lambda: self._client.chunks(response, subject))

    def children(self) -> list[str]:
        """Names below the prefix, one level deep: every prefix, and the first objects."""
        prefix = f"{self._key}/" if self._key else ""
        return [name.removeprefix(prefix) for name in self._level(prefix) if name != prefix]

    def neighbours(self) -> list[str]:
        """Objects and prefixes beside the key; of many, the first ones."""
        parent = self._key.rpartition("/")[0]
        return [f"s3://{self._bucket}/{name}" for name in self._level(f"{parent}/" if parent else "", pages=1)]

    def objects(self) -> Iterator[Entry]:
        """Objects below the prefix; markers of folders are left out."""
        prefix = f"{self._key}/" if self._key else ""
        for page in self._pages({"prefix": prefix}):
            for item in page.iterfind("{*}Contents"):
                name = item.findtext("{*}Key", "")
                if not name.endswith("/"):
                    yield Entry(name.removeprefix(prefix), int(item.findtext("{*}Size", "0")))

    def _level(self, prefix: str, pages: int | None = None) -> list[str]:
        names: list[str] = []
        folders: list[str] = []
        for number, page in enumerate(self._pages({"prefix": prefix, "delimiter": "/"}), start=1):
            found = [item.text or "" for item in page.iterfind("{*}Contents/{*}Key")]
            names += found[: MAX_HINTS - len(names)]
            folders += [item.text or "" for item in page.iterfind("{*}CommonPrefixes/{*}Prefix")]
            if number == pages:
                break
        return sorted([*names, *folders])

    def _pages(self, query: dict[str, str]) -> Iterator[ElementTree.Element]:
        subject = f"s3://{self._bucket}/{query['prefix']}"
        token: dict[str, str] = {}
        while True:
            with (
                self._ask("", {"list-type": "2"} | query | token, {}, subject) as response,
                translated({ElementTree.ParseError: (Unreachable, "the answer is no XML ({error})")}, subject),
            ):
                body = b"".join(self._client.chunks(response, subject))
                page = ElementTree.fromstring(body)  # noqa: S314 - expat itself bounds what entities grow to
            yield page
            following = page.findtext("{*}NextContinuationToken")
            if not following:
                return
            token = {"continuation-token": following}

    @contextmanager
    def _ask(
        self,
        name: str,
        query: dict[str, str],
        headers: dict[str, str],
        subject: str,
        answered: frozenset[int] = frozenset({200}),
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        @contextmanager
        def send(login: Login) -> Iterator[urllib3.BaseHTTPResponse]:
            region = self._endpoint.region
            with self._send(login, name, query, headers, subject) as response:
                there = response.headers.get("x-amz-bucket-region", region)
                if response.status in answered:
                    yield response
                    return
                error = s3_error(response, subject)
            if there == region:
                raise error
            self._endpoint = self._endpoint.moved(there)
            with self._send(login, name, query, headers, subject) as response:
                if response.status not in answered:
                    raise s3_error(response, subject)
                yield response

        with self._caller.ask(send) as response:
            yield response

    @contextmanager
    def _send(
        self, login: Login, name: str, query: dict[str, str], headers: dict[str, str], subject: str
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        url = self._endpoint.url(self._bucket, quote(name, safe="/~"))
        if query:
            url += f"?{urlencode(query, quote_via=quote)}"
        signed = login.sign(url, headers, self._endpoint.region)
        with self._client.get(url, signed | {"Accept-Encoding": "identity"}, subject) as response:
            yield response


def open_source(uri: str, access: Access) -> S3Source:
    """The source of `s3://bucket/key`. Raises Usage when the bucket is missing, AccessDenied for broken credentials."""
    return S3Source(uri, access)
