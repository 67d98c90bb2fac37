"""A release of the chart in Kubernetes: its pods, reached by port-forward, and the ConfigMap that they start with.

The API server's proxy is no way to the admin port: it takes the `Authorization` header for itself. A port-forward needs
no NetworkPolicy either, because it comes from the pod's own node.
"""

import base64
import http.client
import json
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException
from kubernetes.stream import portforward
from urllib3.exceptions import HTTPError

from modelport.admin.api import AdminApi, Send, request_headers
from modelport.admin.changes import Outdated
from modelport.admin.documents import Document, empty
from modelport.answers import ClientError, ServiceUnreachable

KEY = "traffic.json"
"""Entry of the ConfigMap."""


class ClusterError(ClientError):
    """What a cluster or a release in it lacks, as a sentence."""


class Release:
    """The pods of one release.

    Args:
        name: of the helm release, or of the ModelDeployment.
        namespace: the one of the current context when left out.
        token: for the admin port; read from the release's own Secret when left out.
        timeout: seconds for each request.

    Raises:
        ClusterError: there is no such release, or it has no admin port, or the cluster refuses.
    """

    def __init__(self, name: str, namespace: str | None, token: str | None, timeout: float) -> None:
        with _explained(f"release {name}"):
            config.load_config()
            self._namespace = namespace or _current_namespace()
            self._core, self._timeout = client.CoreV1Api(), timeout
            self._deployment = self._find(name)
            self._port = self._admin_port(name)
            self._token = token or self._own_token()

    def members(self) -> list[AdminApi]:
        """Every pod that is ready and not on its way out."""
        selector = ",".join(f"{key}={value}" for key, value in self._deployment.spec.selector.match_labels.items())
        with _explained("pods"):
            pods = self._core.list_namespaced_pod(self._namespace, label_selector=selector).items
        names = [pod.metadata.name for pod in pods if _is_ready(pod)]
        return [AdminApi(self._send_to(name), name) for name in names]

    def stored(self) -> Document:
        """The document of the ConfigMap."""
        found = self._read()
        text = (found.data or {}).get(KEY) if found else None
        return json.loads(text) if text else empty()

    def store(self, document: Document) -> None:
        """Write the ConfigMap, unless somebody else wrote a later document meanwhile."""
        name, found = self._volume("traffic").config_map.name, self._read()
        if found is None:
            raise ClusterError(f"ConfigMap {name} is not there: helm upgrade the release, which makes it again")
        stored = json.loads((found.data or {}).get(KEY) or "{}")
        if stored.get("generation", 0) >= document["generation"]:
            raise Outdated(f"ConfigMap {name} holds generation {stored['generation']}")
        found.data = (found.data or {}) | {KEY: json.dumps(document, indent=2)}
        with _explained(f"ConfigMap {name}"):
            try:
                self._core.replace_namespaced_config_map(name, self._namespace, found)
            except ApiException as error:
                if error.status == http.HTTPStatus.CONFLICT:
                    raise Outdated(f"ConfigMap {name} was changed meanwhile") from error
                raise

    def _read(self) -> Any:
        name = self._volume("traffic").config_map.name
        with _explained(f"ConfigMap {name}"):
            try:
                return self._core.read_namespaced_config_map(name, self._namespace)
            except ApiException as error:
                if error.status == http.HTTPStatus.NOT_FOUND:
                    return None
                raise

    def _find(self, name: str) -> Any:
        selector = f"app.kubernetes.io/instance={name}"
        found = client.AppsV1Api().list_namespaced_deployment(self._namespace, label_selector=selector).items
        services = [item for item in found if _container(item)]
        if not services:
            raise ClusterError(f"there is no release {name} of model-service in the namespace {self._namespace}")
        owner = next(
            (item for item in services[0].metadata.owner_references or () if item.kind == "ModelDeployment"), None
        )
        if owner is not None:
            raise ClusterError(
                f"{name} belongs to the ModelDeployment {owner.name}, whose operator would undo the change: "
                "edit its spec, or use `modelport rollout`"
            )
        return services[0]

    def _admin_port(self, name: str) -> int:
        ports = [port.container_port for port in _container(self._deployment).ports or () if port.name == "admin"]
        if not ports:
            raise ClusterError(
                f"release {name} has no admin port: helm upgrade {name} ... --reuse-values --set admin.enabled=true "
                "--set admin.existingSecret=SECRET"
            )
        return int(ports[0])

    def _own_token(self) -> str:
        volume = self._volume("admin")
        if volume is None:
            raise ClusterError("the release has no admin token of its own: give --token-file with one of role admin")
        source = volume.secret
        with _explained(f"Secret {source.secret_name} (give --token-file instead)"):
            secret = self._core.read_namespaced_secret(source.secret_name, self._namespace)
        return base64.b64decode(secret.data[source.items[0].key]).decode().strip()

    def _volume(self, name: str) -> Any:
        return next((item for item in self._deployment.spec.template.spec.volumes if item.name == name), None)

    def _send_to(self, pod: str) -> Send:
        def send(method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
            connection = http.client.HTTPConnection("localhost")
            try:
                connection.sock = self._connect(pod)
                connection.request(method, path, body, request_headers(self._token))
                response = connection.getresponse()
                return response.status, response.read()
            except (OSError, http.client.HTTPException, ApiException) as error:
                raise ServiceUnreachable(f"pod {pod} gave no answer on its admin port: {error}") from error
            finally:
                connection.close()

        return send

    def _connect(self, pod: str) -> socket.socket:
        connect = self._core.connect_get_namespaced_pod_portforward
        forward = portforward(connect, pod, self._namespace, ports=str(self._port))
        here = socket.socket(fileno=os.dup(forward.socket(self._port).fileno()))
        forward.close()
        here.settimeout(self._timeout)
        if _container(self._deployment).readiness_probe.http_get.scheme != "HTTPS":
            return here
        # The API server vouches for the pod at the other end; its certificate names the Service.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(here)


def _container(deployment: Any) -> Any:
    containers = deployment.spec.template.spec.containers
    return next((container for container in containers if container.name == "service"), None)


def _is_ready(pod: Any) -> bool:
    conditions = pod.status.conditions or ()
    return pod.metadata.deletion_timestamp is None and any(
        condition.type == "Ready" and condition.status == "True" for condition in conditions
    )


def _current_namespace() -> str:
    try:
        _, current = config.list_kube_config_contexts()
    except ConfigException:
        return "default"
    return str(current["context"].get("namespace") or "default")


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """The client's errors as sentences."""
    try:
        yield
    except ConfigException as error:
        raise ClusterError(f"no cluster is configured: {error}; set KUBECONFIG") from error
    except ApiException as error:
        raise ClusterError(f"{what}: the cluster refused: {error.reason} (HTTP {error.status})") from error
    except HTTPError as error:
        raise ClusterError(f"{what}: the cluster gave no answer: {error}") from error
