"""Who asks Google Cloud Storage: whatever Google's own library finds in the environment."""

import os
from collections.abc import Mapping
from threading import Lock
from typing import Any

import google.auth
import urllib3
from google.auth import credentials as accounts
from google.auth import exceptions
from google.auth.transport import Request, Response

from model_artifact.delivery import AccessDenied, ErrorTable, Unreachable, translated
from model_fetcher.sources.base import Auth
from model_fetcher.sources.login import Anonymous, Login
from model_fetcher.sources.web import WebClient

SCOPES = ("https://www.googleapis.com/auth/devstorage.read_only",)
SUBJECT = "Google credentials"
PATIENCE = 30.0
"""Seconds to wait for a token where the library does not say."""

ERRORS: ErrorTable = {
    exceptions.TransportError: (Unreachable, "no credentials yet ({error})"),
    exceptions.RefreshError: (AccessDenied, "the credentials cannot be renewed ({error})"),
    exceptions.GoogleAuthError: (AccessDenied, "{error}"),
}


class _Answer(Response):
    """An answer in the shape that the library reads."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self._response = response

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    @property
    def data(self) -> bytes:
        return self._response.data


class _Transport(Request):
    """Sends what the library sends the way that everything else goes: through the same proxies and authorities."""

    def __init__(self, client: WebClient) -> None:
        self._client = client

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> _Answer:
        pool, timeout = self._client.pool(url), timeout or PATIENCE
        try:
            return _Answer(pool.request(method, url, body=body, headers=headers, timeout=timeout, retries=False))
        except urllib3.exceptions.HTTPError as error:
            raise exceptions.TransportError(error) from error  # type: ignore[no-untyped-call]


class Account:
    """A Google identity. Tokens are renewed before they expire, and again when the service says so."""

    def __init__(self, credentials: accounts.Credentials, transport: Request) -> None:
        self._credentials = credentials
        self._transport = transport
        self._lock = Lock()
        self.identity = getattr(credentials, "service_account_email", None) or type(credentials).__name__

    def sign(self, url: str, headers: dict[str, str], scope: str = "") -> dict[str, str]:  # noqa: ARG002
        """Add the token."""
        signed = dict(headers)
        with self._lock, translated(ERRORS, SUBJECT):
            self._credentials.before_request(self._transport, "GET", url, signed)  # type: ignore[no-untyped-call]
        return signed

    def renew(self) -> None:
        """Get another token."""
        with self._lock, translated(ERRORS, SUBJECT):
            self._credentials.refresh(self._transport)  # type: ignore[no-untyped-call]


def google_login(client: WebClient, auth: Auth) -> Login:
    """Whom the environment names, and nobody where it names none and nobody will do.

    Raises:
        AccessDenied: what it names cannot be used.
        Unreachable: who gives credentials does not answer.
    """
    transport = _Transport(client)
    try:
        with translated({exceptions.TransportError: (Unreachable, "{error}")}, SUBJECT):
            found, _ = google.auth.default(scopes=SCOPES, request=transport)
    except exceptions.DefaultCredentialsError as error:
        if os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"):
            raise AccessDenied(f"GOOGLE_APPLICATION_CREDENTIALS cannot be used: {error}") from error
        if auth == "credentials":
            raise AccessDenied(f"the environment names no Google credentials: {error}") from error
        return Anonymous()
    return Account(found, transport)
