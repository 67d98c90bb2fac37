"""`http://` and `https://`: any web server, or a signed address of any store. It cannot list."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

import urllib3

from model_fetcher.errors import Misconfigured
from model_fetcher.sources.base import Access, Ask, Content, Entry
from model_fetcher.sources.parts import content, modified, range_header
from model_fetcher.sources.web import WebClient
from model_fetcher.uris import redact

MAX_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
SETTLED = timedelta(seconds=1)
"""Age from which a time of change, which counts whole seconds, tells one version from another (RFC 9110, 8.8.2.2)."""


class HttpSource:
    """One address; its query, where signatures live, goes with every request below it."""

    def __init__(self, uri: str, access: Access) -> None:
        parts = urlsplit(uri)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        self._base = parts._replace(netloc=parts.netloc.rpartition("@")[2], path=parts.path.rstrip("/"), fragment="")
        self._secrets = access.headers | (urllib3.make_headers(basic_auth=f"{user}:{password}") if user else {})
        self._client = WebClient(access)
        self.identity = f"user {user}" if user else "the given headers" if access.headers else "anonymous"

    @property
    def place(self) -> str:
        """The address without its query."""
        return redact(urlunsplit(self._base))

    @contextmanager
    def open(self, ask: Ask) -> Iterator[Content]:
        """Read one address, at the version it has now."""
        path = f"{self._base.path}/{quote(ask.key)}" if ask.key else self._base.path
        with self._follow(urlunsplit(self._base._replace(path=path)), ask) as (response, url):
            subject, version = redact(url), _version(response.headers)
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise Misconfigured(f"{subject}: the server compresses what it sends (Content-Encoding)")
            yield content(response, ask, subject, version, lambda: self._client.chunks(response, subject))

    def children(self) -> list[str]:
        """Nothing: a web server does not list."""
        return []

    def objects(self) -> list[Entry]:
        """Nothing: a web server does not list."""
        return []

    def neighbours(self) -> list[str]:
        """Nothing: a web server does not list."""
        return []

    @contextmanager
    def _follow(self, url: str, ask: Ask) -> Iterator[tuple[urllib3.BaseHTTPResponse, str]]:
        for _ in range(MAX_REDIRECTS + 1):
            with self._client.get(url, self._headers(url, ask), redact(url)) as response:
                if response.status not in REDIRECTS or "Location" not in response.headers:
                    yield response, url
                    return
                url = _redirected(url, response.headers["Location"])
        raise Misconfigured(f"{redact(url)}: more than {MAX_REDIRECTS} redirects")

    def _headers(self, url: str, ask: Ask) -> dict[str, str]:
        """What goes to this host: secrets only to the one that they are for."""
        known = {"If-None-Match" if ask.known.startswith('"') else "If-Modified-Since": ask.known} if ask.known else {}
        secrets = self._secrets if urlsplit(url)[:2] == self._base[:2] else {}
        return {"Accept-Encoding": "identity"} | range_header(ask) | known | secrets


def _version(headers: Mapping[str, str]) -> str:
    """A strong validator: an entity tag, or a time of change that was long enough ago."""
    tag, changed = headers.get("ETag", ""), modified(headers)
    if tag.startswith('"'):
        return tag
    try:
        settled = changed is not None and parsedate_to_datetime(headers.get("Date", "")) - changed >= SETTLED
    except (ValueError, TypeError):
        return ""
    return headers["Last-Modified"] if settled else ""


def _redirected(url: str, location: str) -> str:
    try:
        target = urljoin(url, location)
        scheme = urlsplit(target).scheme
    except ValueError as error:
        raise Misconfigured(f"{redact(url)} redirects to what is no address ({error})") from error
    if scheme not in {urlsplit(url).scheme, "https"}:
        raise Misconfigured(f"{redact(url)} redirects to {redact(target)}: only https may be switched to")
    return target


def open_source(uri: str, access: Access) -> HttpSource:
    """The source of a web address."""
    return HttpSource(uri, access)
