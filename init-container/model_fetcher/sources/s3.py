"""`s3://`: Amazon's object storage and everything that speaks its protocol, as the identity that botocore finds.

botocore finds credentials (environment, profiles, web identity, containers, instances) and signs; the bytes go through
`web`. Its client, or boto3's, would load the descriptions of the whole service before the first byte, hold parts in
memory, and have its own ideas of proxies and retries.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

import urllib3

from model_artifact.delivery import Unreachable, translated
from model_fetcher.sources.base import Access, Ask, Content, Entry
from model_fetcher.sources.bucket import Page, Spot
from model_fetcher.sources.login import Caller, Login
from model_fetcher.sources.parts import ANSWERED, content, range_header
from model_fetcher.sources.s3_account import aws_login
from model_fetcher.sources.s3_endpoint import Endpoint, endpoint_of
from model_fetcher.sources.s3_errors import s3_error
from model_fetcher.sources.web import CA_VARIABLES, WebClient

VERSION_ID = "?versionId="


class S3Source:
    """An object or prefix of a bucket; `?versionId=...` at the end of the URI is the version of an object."""

    def __init__(self, uri: str, access: Access) -> None:
        place, _, self._version_id = uri.partition(VERSION_ID)
        self._at = Spot.of(place)
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
        return self._at.uri(self._at.key)

    @contextmanager
    def open(self, ask: Ask) -> Iterator[Content]:
        """Read one object, at the version it has now."""
        name = self._at.name(ask.key)
        subject = self._at.uri(name)
        query = {"versionId": self._version_id} if self._version_id else {}
        headers = {"x-amz-checksum-mode": "ENABLED"} | range_header(ask)
        headers |= {"If-Match": ask.version} if ask.version else {}
        headers |= {"If-None-Match": ask.known} if ask.known else {}
        with self._ask(name, query, headers, subject, ANSWERED) as response:
            version = response.headers.get("ETag", "")
            yield content(response, ask, subject, version, lambda: self._client.chunks(response, subject))

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
        query = {"list-type": "2", "prefix": prefix, **level}
        while True:
            page = self._listing(query, self._at.uri(prefix))
            yield Page(
                [
                    Entry(item.findtext("{*}Key", ""), int(item.findtext("{*}Size", "0")))
                    for item in page.iterfind("{*}Contents")
                ],
                [item.text or "" for item in page.iterfind("{*}CommonPrefixes/{*}Prefix")],
            )
            following = page.findtext("{*}NextContinuationToken")
            if not following:
                return
            query["continuation-token"] = following

    def _listing(self, query: dict[str, str], subject: str) -> ElementTree.Element:
        with (
            self._ask("", query, {}, subject) as response,
            translated({ElementTree.ParseError: (Unreachable, "the answer is no XML ({error})")}, subject),
        ):
            body = b"".join(self._client.chunks(response, subject))
            return ElementTree.fromstring(body)  # noqa: S314 - expat itself bounds what entities grow to

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
        url = self._endpoint.url(self._at.bucket, quote(name, safe="/~"))
        if query:
            url += f"?{urlencode(query, quote_via=quote)}"
        signed = login.sign(url, headers, self._endpoint.region)
        with self._client.get(url, signed | {"Accept-Encoding": "identity"}, subject) as response:
            yield response


def open_source(uri: str, access: Access) -> S3Source:
    """The source of `s3://bucket/key`. Raises Usage when the bucket is missing, AccessDenied for broken credentials."""
    return S3Source(uri, access)
