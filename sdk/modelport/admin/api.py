"""The admin API of one server, whichever way its requests get there."""

import json
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import quote, urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from modelport.admin.documents import Document
from modelport.answers import ApiError, ServiceUnreachable

Send = Callable[[str, str, bytes | None], tuple[int, bytes]]
"""Sends method, path and body; gives status and body. Raises ServiceUnreachable."""
Listing = dict[str, Any]
"""`{models: [{name, version, state, ...}], budget_bytes, used_bytes, generation}`."""


class AdminApi:
    """Asks one server; `where` names it in messages.

    Every method raises ApiError where the server refuses, and ServiceUnreachable where no answer comes.
    """

    def __init__(self, send: Send, where: str) -> None:
        self._send, self.where = send, where

    def models(self) -> Listing:
        """Every version that is loaded or could be."""
        return cast("Listing", self._ask("GET", "/admin/models"))

    def load(self, name: str, version: str) -> dict[str, Any]:
        """Load and prove a version in every worker; gives its row."""
        return cast("dict[str, Any]", self._ask("POST", _version_path(name, version, "load")))

    def unload(self, name: str, version: str) -> dict[str, Any]:
        """Let go of a version that traffic does not need; gives its row."""
        return cast("dict[str, Any]", self._ask("POST", _version_path(name, version, "unload")))

    def traffic(self) -> Document:
        """The document in force."""
        return cast("Document", self._ask("GET", "/admin/traffic"))

    def put_traffic(self, document: Document) -> Document:
        """Put a document into force in every worker."""
        return cast("Document", self._ask("PUT", "/admin/traffic", document))

    def _ask(self, method: str, path: str, document: Document | None = None) -> Any:
        status, data = self._send(method, path, None if document is None else json.dumps(document).encode())
        try:
            body = json.loads(data)
        except ValueError:
            body = None
        if status != 200:
            raise ApiError.from_json(status, body, f"{self.where}{path}")
        if not isinstance(body, dict):
            raise ServiceUnreachable(f"{self.where} is not the admin port of a Modelport service: check the address")
        return body


def open_url(url: str, token: str | None, timeout: float) -> AdminApi:
    """The server whose admin port is at `url`.

    Args:
        url: such as `http://127.0.0.1:8081`.
        token: sent as `Authorization: Bearer`.
        timeout: seconds for each request.

    Raises:
        ValueError: the URL is not `http://` or `https://` with a host.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"url {url!r} must look like http://127.0.0.1:8081")
    base, pool = url.rstrip("/"), urllib3.PoolManager(headers=request_headers(token))

    def send(method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        try:
            response = pool.request(method, base + path, body=body, retries=False, timeout=timeout)
        except HTTPError as error:
            raise ServiceUnreachable(
                f"{base} gave no answer: {error}; is the admin port on (MODELPORT_ADMIN__PORT)?"
            ) from error
        return response.status, response.data

    return AdminApi(send, base)


def request_headers(token: str | None) -> dict[str, str]:
    """Headers of every request."""
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    return headers if token is None else headers | {"Authorization": f"Bearer {token}"}


def _version_path(name: str, version: str, verb: str) -> str:
    return f"/admin/models/{quote(name, safe='')}/versions/{quote(version, safe='')}/{verb}"
