"""`http://` and `https://`: any web server, or a signed address of any store. It cannot list."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3 import exceptions

from model_fetcher.errors import AccessDenied, ErrorTable, FetchError, Misconfigured, NotFound, Unreachable, translated
from model_fetcher.sources.base import CHUNK, Content, Timeouts
from model_fetcher.uris import redact

MAX_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")

ERRORS: ErrorTable = {
    exceptions.NameResolutionError: (Unreachable, "the host name cannot be resolved"),
    exceptions.NewConnectionError: (Unreachable, "no connection ({error})"),
    exceptions.ConnectTimeoutError: (Unreachable, "no connection in time"),
    exceptions.ReadTimeoutError: (Unreachable, "the server stopped sending"),
    exceptions.IncompleteRead: (Unreachable, "the connection ended early ({error})"),
    exceptions.SSLError: (
        Misconfigured,
        "no trusted TLS connection ({error}); name your own authority's certificates in SSL_CERT_FILE",
    ),
    exceptions.LocationValueError: (Misconfigured, "is not a usable address ({error})"),
    exceptions.HTTPError: (Unreachable, "{error}"),
}

STATUSES: dict[int, type[FetchError]] = {
    401: AccessDenied,
    403: AccessDenied,
    404: NotFound,
    407: AccessDenied,
    408: Unreachable,
    410: NotFound,
    425: Unreachable,
    429: Unreachable,
}
"""Others: 5xx may pass, anything else will not."""


class HttpSource:
    """One address; its query, where signatures live, goes with every request below it."""

    def __init__(self, uri: str, timeouts: Timeouts) -> None:
        parts = urlsplit(uri)
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._base = parts._replace(netloc=parts.netloc.rpartition("@")[2], path=parts.path.rstrip("/"), fragment="")
        self._timeout = urllib3.Timeout(connect=timeouts.connect, read=timeouts.read)
        self._proxies: dict[str, urllib3.PoolManager] = {}

    @property
    def identity(self) -> str:
        """The user of basic authentication, if the address has one."""
        return f"user {self._user}" if self._user else "anonymous"

    @property
    def place(self) -> str:
        """The address without its query."""
        return redact(urlunsplit(self._base))

    @contextmanager
    def open(self, key: str) -> Iterator[Content]:
        """Read one address."""
        path = f"{self._base.path}/{quote(key)}" if key else self._base.path
        url = urlunsplit(self._base._replace(path=path))
        with closing(self._get(url)) as response:
            length = response.headers.get("Content-Length", "")
            yield Content(_chunks(response, url), int(length) if length.isdigit() else None, _modified(response))

    def children(self) -> list[str]:
        """Nothing: a web server does not list."""
        return []

    def neighbours(self) -> list[str]:
        """Nothing: a web server does not list."""
        return []

    def _get(self, url: str) -> urllib3.BaseHTTPResponse:
        for _ in range(MAX_REDIRECTS + 1):
            response = self._request(url)
            if response.status == 200:
                return response
            response.close()
            if response.status not in REDIRECTS or "Location" not in response.headers:
                raise _status_error(response, url)
            url = _redirected(url, response.headers["Location"])
        raise Misconfigured(f"{redact(url)}: more than {MAX_REDIRECTS} redirects")

    def _request(self, url: str) -> urllib3.BaseHTTPResponse:
        headers = {"Accept-Encoding": "identity", "User-Agent": "modelport-fetch"}
        if self._user and urlsplit(url)[:2] == self._base[:2]:
            headers |= urllib3.make_headers(basic_auth=f"{self._user}:{self._password}")
        with translated(ERRORS, redact(url)):
            return self._pool(url).request(
                "GET", url, headers=headers, timeout=self._timeout, preload_content=False, retries=False, redirect=False
            )

    def _pool(self, url: str) -> urllib3.PoolManager:
        parts = urlsplit(url)
        proxy = getproxies().get(parts.scheme)
        if proxy is None or proxy_bypass(parts.netloc):
            return self._direct
        return self._proxies.setdefault(proxy, _proxy(proxy))

    @cached_property
    def _direct(self) -> urllib3.PoolManager:
        return urllib3.PoolManager(**_authorities())


def _chunks(response: urllib3.BaseHTTPResponse, url: str) -> Iterator[bytes]:
    with translated(ERRORS, redact(url)):
        yield from response.stream(CHUNK, decode_content=False)


def _redirected(url: str, location: str) -> str:
    with translated({ValueError: (Misconfigured, "redirects to what is no address ({error})")}, redact(url)):
        target = urljoin(url, location)
        scheme = urlsplit(target).scheme
    if scheme not in {urlsplit(url).scheme, "https"}:
        raise Misconfigured(f"{redact(url)} redirects to {redact(target)}: only https may be switched to")
    return target


def _status_error(response: urllib3.BaseHTTPResponse, url: str) -> FetchError:
    otherwise = Unreachable if response.status >= 500 else Misconfigured
    kind = STATUSES.get(response.status, otherwise)
    return kind(f"{redact(url)}: HTTP {response.status} {response.reason or ''}".rstrip(), retry_after=_delay(response))


def _delay(response: urllib3.BaseHTTPResponse) -> float | None:
    try:
        return urllib3.Retry().get_retry_after(response)
    except exceptions.InvalidHeader:
        return None


def _modified(response: urllib3.BaseHTTPResponse) -> datetime | None:
    try:
        return parsedate_to_datetime(response.headers.get("Last-Modified", ""))
    except ValueError:
        return None


def _proxy(url: str) -> urllib3.ProxyManager:
    user = urlsplit(url).username
    password = urlsplit(url).password
    login = f"{unquote(user)}:{unquote(password or '')}" if user else None
    return urllib3.ProxyManager(url, proxy_headers=urllib3.make_headers(proxy_basic_auth=login), **_authorities())


def _authorities() -> dict[str, Any]:
    path = next((os.environ[name] for name in CA_VARIABLES if os.environ.get(name)), None)
    if path is None:
        return {}
    return {"ca_cert_dir" if Path(path).is_dir() else "ca_certs": path}


def open_source(uri: str, timeouts: Timeouts) -> HttpSource:
    """The source of a web address."""
    return HttpSource(uri, timeouts)
