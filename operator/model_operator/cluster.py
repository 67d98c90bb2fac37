"""The API server, through the official client: the few calls that the operator makes, with plain dictionaries."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from model_operator.kinds import POD, Kind
from model_operator.metrics import API_REQUESTS

MANAGER = "modelport-operator"
"""Field manager of everything that is applied."""
TIMEOUT = 20.0
Object = dict[str, Any]

_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"


class ApiError(Exception):
    """The API server said no, or nothing."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class _Request:
    verb: str
    kind: Kind
    path: str
    body: Mapping[str, Any] | None = None
    content: str = "application/json"
    query: tuple[tuple[str, str], ...] = ()


class Cluster:
    """Reads and writes objects; safe to use from several threads."""

    def __init__(self, api: Any = None) -> None:
        self._api = api or _connected()

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """An object, or None.

        Raises:
            ApiError: anything but "not found".
        """
        try:
            return self._object(_Request("GET", kind, kind.path(namespace, name)))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def serves(self, kind: Kind) -> bool:
        """Whether the cluster knows a kind's group and version."""
        try:
            self._object(_Request("GET", kind, f"/apis/{kind.api_version}"))
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    def find(self, kind: Kind, namespace: str, selector: str) -> list[Object]:
        """The objects with these labels; none where the cluster does not know the kind."""
        try:
            found = self._object(_Request("GET", kind, kind.path(namespace), query=(("labelSelector", selector),)))
        except ApiError as error:
            if error.status == 404:
                return []
            raise
        items: list[Object] = found.get("items", [])
        return items

    def apply(self, kind: Kind, item: Mapping[str, Any], manager: str = MANAGER) -> Object:
        """Server-side apply: fields that are left out and were ours are removed, those of others stay.

        Raises:
            ApiError: refused; 404 means that the cluster does not know the kind.
        """
        query = (("fieldManager", manager), ("force", "true"))
        return self._object(_Request("PATCH", kind, _path(kind, item), item, _APPLY, query))

    def create(self, kind: Kind, item: Mapping[str, Any]) -> bool:
        """Create an object; False when there is one of this name already."""
        try:
            self._object(_Request("POST", kind, kind.path(item["metadata"]["namespace"]), item))
        except ApiError as error:
            if error.status == 409:
                return False
            raise
        return True

    def replace(self, kind: Kind, item: Mapping[str, Any]) -> Object:
        """Put an object in the place of the one that was read (409 when it has changed since)."""
        return self._object(_Request("PUT", kind, _path(kind, item), item))

    def merge(self, kind: Kind, place: tuple[str, str], patch: Mapping[str, Any], subresource: str = "") -> Object:
        """Merge a patch into an object or its status; null removes a field."""
        path = kind.path(*place, subresource)
        return self._object(_Request("PATCH", kind, path, patch, _MERGE, (("fieldManager", MANAGER),)))

    def delete(self, kind: Kind, namespace: str, name: str) -> None:
        """Delete an object, if it is there; what it owns goes with it, later."""
        try:
            self._send(_Request("DELETE", kind, kind.path(namespace, name), {"propagationPolicy": "Background"}))
        except ApiError as error:
            if error.status != 404:
                raise

    def log(self, namespace: str, pod: str) -> str:
        """What a pod with one container has printed."""
        return self._send(_Request("GET", POD, POD.path(namespace, pod, "log"))).decode()

    def _object(self, request: _Request) -> Object:
        found: Object = json.loads(self._send(request))
        return found

    def _send(self, request: _Request) -> bytes:
        API_REQUESTS.labels(request.verb, request.kind.name).inc()
        verb, url, headers, *_ = self._api.param_serialize(
            request.verb,
            request.path,
            query_params=list(request.query),
            header_params={"Accept": "application/json, */*", "Content-Type": request.content},
            auth_settings=["BearerToken"],
        )
        try:
            response = self._api.call_api(verb, url, headers, body=request.body, _request_timeout=TIMEOUT)
            data = response.read()
        except ApiException as error:
            raise ApiError(error.status or 0, _message(error.body, error.reason)) from None
        except (OSError, HTTPError) as error:
            raise ApiError(0, f"the API server does not answer: {error}") from None
        if response.status >= 400:
            raise ApiError(response.status, _message(data, response.reason))
        return bytes(data)


def _path(kind: Kind, item: Mapping[str, Any]) -> str:
    return kind.path(item["metadata"]["namespace"], item["metadata"]["name"])


def _connected() -> Any:
    """A client for the pod's own account, or for the kubeconfig of a person."""
    try:
        config.load_incluster_config()
    except config.ConfigException:
        try:
            config.load_kube_config()
        except config.ConfigException as error:
            raise ApiError(0, f"no cluster is known: run it in a pod, or set KUBECONFIG ({error})") from None
    return client.ApiClient()


def _message(body: Any, reason: Any) -> str:
    """The sentence in a Status object, else the reason of HTTP."""
    try:
        return str(json.loads(body)["message"])
    except (TypeError, ValueError, KeyError):
        return str(reason or "the API server does not answer")
