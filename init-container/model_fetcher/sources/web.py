"""HTTP as every remote scheme speaks it: pooled connections, proxies, authorities, and one table of errors."""

import os
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from threading import Lock
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3 import exceptions

from model_artifact.delivery import (
    AccessDenied,
    DeliveryError,
    ErrorTable,
    NotFound,
    Unreachable,
    Usage,
    translated,
)
from model_fetcher.errors import Misconfigured
from model_fetcher.sources.base import CHUNK, Access

CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
CA_SETTINGS = ("MODELPORT_FETCH_CA_BUNDLE", CA_VARIABLES[0])
LEAST_RATE = 1024
"""Bytes a second below which a connection counts as stalled."""
USER_AGENT = "modelport-fetch"

ERRORS: ErrorTable = {
    exceptions.NameResolutionError: (Unreachable, "the host name cannot be resolved"),
    exceptions.NewConnectionError: (Unreachable, "no connection ({error})"),
    exceptions.ConnectTimeoutError: (Unreachable, "no connection in time"),
    exceptions.ReadTimeoutError: (Unreachable, "the server stopped sending"),
    exceptions.IncompleteRead: (Unreachable, "the connection ended early ({error})"),
    exceptions.SSLError: (
        Misconfigured,
        f"no trusted TLS connection ({{error}}); name your authority's certificates in {' or '.join(CA_SETTINGS)}",
    ),
    exceptions.LocationValueError: (Misconfigured, "is not a usable address ({error})"),
    exceptions.HTTPError: (Unreachable, "{error}"),
}

STATUSES: dict[int, type[DeliveryError]] = {
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


class WebClient:
    """Connections to whatever hosts are asked for, each pool made when it is first needed.

    Args:
        access: timeouts, authorities, and how many connections to keep.
        ca_variables: environment variables that name certificates, the one that counts first.
        verify: whether servers must prove who they are.
    """

    def __init__(self, access: Access, ca_variables: tuple[str, ...] = CA_VARIABLES, *, verify: bool = True) -> None:
        self._timeouts = access.timeouts
        self._connections = access.connections
        self._authorities = _authorities(access.ca_bundle, ca_variables)
        self._verify = verify
        if not verify:
            urllib3.disable_warnings(exceptions.InsecureRequestWarning)
            access.notify("certificates are not checked: whoever is in between can read and change everything")
        self._pools: dict[tuple[str | None, bool], urllib3.PoolManager] = {}
        self._lock = Lock()

    @contextmanager
    def get(self, url: str, headers: Mapping[str, str], subject: str) -> Iterator[urllib3.BaseHTTPResponse]:
        """Ask once, whatever the answer; its body is read by whom it is for. Redirects are not followed.

        Args:
            url: what to ask for.
            headers: what to send.
            subject: what errors are about.

        Raises:
            DeliveryError: no answer.
        """
        timeout = urllib3.Timeout(connect=self._timeouts.connect, read=self._timeouts.read)
        with translated(ERRORS, subject):
            response = self.pool(url).request(
                "GET",
                url,
                headers={"User-Agent": USER_AGENT, **headers},
                timeout=timeout,
                preload_content=False,
                retries=False,
                redirect=False,
            )
        try:
            yield response
        finally:
            # What was read to its end went back to the pool; anything else is of no more use.
            response.close()

    def chunks(self, response: urllib3.BaseHTTPResponse, subject: str) -> Iterator[bytes]:
        """The body as it comes. Raises Unreachable when it stops, or all but stops."""
        pace = Pace(self._timeouts.read)
        with translated(ERRORS, subject):
            while data := response.read1(CHUNK, decode_content=False):
                pace.count(len(data), subject)
                yield data

    def pool(self, url: str) -> urllib3.PoolManager:
        """The connections that lead to an address: its proxy's, or direct ones."""
        parts = urlsplit(url)
        proxy = getproxies().get(parts.scheme)
        if proxy is not None and proxy_bypass(parts.netloc):
            proxy = None
        # Authorities take a while to read, and plain HTTP has no use for them.
        secure = "https" in {parts.scheme, urlsplit(proxy or "").scheme}
        with self._lock:
            if (proxy, secure) not in self._pools:
                self._pools[proxy, secure] = self._make(proxy, self._tls if secure else None)
            return self._pools[proxy, secure]

    def _make(self, proxy: str | None, tls: ssl.SSLContext | None) -> urllib3.PoolManager:
        if proxy is None:
            return urllib3.PoolManager(maxsize=self._connections, ssl_context=tls)
        parts = urlsplit(proxy)
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else None
        return urllib3.ProxyManager(
            proxy,
            proxy_headers=urllib3.make_headers(proxy_basic_auth=login),
            maxsize=self._connections,
            ssl_context=tls,
            proxy_ssl_context=tls,
        )

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self._authorities is not None:
            path = self._authorities
            with translated({OSError: (Usage, "holds no certificates that can be read ({error})")}, str(path)):
                context.load_verify_locations(*((None, path) if path.is_dir() else (path,)))
        if not self._verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


class Pace:
    """Notices a sender that sends next to nothing. `clock` gives seconds."""

    def __init__(self, window: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._window = window
        self._clock = clock
        self._since = clock()
        self._count = 0

    def count(self, size: int, subject: str) -> None:
        """So many more bytes came. Raises Unreachable when they were too few for a whole window."""
        self._count += size
        elapsed = self._clock() - self._since
        if elapsed >= self._window:
            if self._count < LEAST_RATE * elapsed:
                raise Unreachable(
                    f"{subject}: the server all but stopped sending ({self._count} bytes in {elapsed:.0f} s)"
                )
            self._since, self._count = self._clock(), 0


def status_error(response: urllib3.BaseHTTPResponse, subject: str, text: str = "") -> DeliveryError:
    """What a status means, in words; `text` is what the body adds."""
    otherwise = Unreachable if response.status >= 500 else Misconfigured
    kind = STATUSES.get(response.status, otherwise)
    sentence = f"{subject}: HTTP {response.status} {response.reason or ''}".rstrip()
    return kind(f"{sentence}{text and f' ({text})'}", retry_after=_delay(response))


def _delay(response: urllib3.BaseHTTPResponse) -> float | None:
    try:
        return urllib3.Retry().get_retry_after(response)
    except exceptions.InvalidHeader:
        return None


def _authorities(bundle: Path | None, variables: tuple[str, ...]) -> Path | None:
    return bundle or next((Path(os.environ[name]) for name in variables if os.environ.get(name)), None)
