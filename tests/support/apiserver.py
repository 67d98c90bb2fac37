"""The few answers of a Kubernetes API server that the `modelport` command asks for, without pods to connect to."""

import json
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import Any

from support.answering import Answering

NAMESPACE = "models"


class ApiServer(Answering):
    """One release, `churn`, as an API server tells of it; `objects` are what is there, by path."""

    def __init__(self) -> None:
        super().__init__()
        apps, core = f"/apis/apps/v1/namespaces/{NAMESPACE}", f"/api/v1/namespaces/{NAMESPACE}"
        self.deployment: dict[str, Any] = _deployment()
        self.pods: list[dict[str, Any]] = []
        self.config_map = f"{core}/configmaps/churn-traffic"
        self.objects: dict[str, Any] = {
            f"{core}/secrets/churn-admin": {"data": {"token": b64encode(b"secret\n").decode()}},
        }
        self.lists = {f"{apps}/deployments": [self.deployment], f"{core}/pods": self.pods}
        self.refuse: int | None = None

    def kubeconfig(self, folder: Path) -> Path:
        """A file that leads here."""
        cluster = {"name": "here", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}
        context = {"name": "here", "context": {"cluster": "here", "user": "me", "namespace": NAMESPACE}}
        file = folder / "kubeconfig"
        users = [{"name": "me", "user": {}}]
        content = {"current-context": "here", "clusters": [cluster], "contexts": [context], "users": users}
        file.write_text(json.dumps(content))
        return file

    def document(self) -> Any:
        return json.loads(self.objects[self.config_map]["data"]["traffic.json"])

    def set_document(self, document: Any) -> None:
        metadata = {"name": "churn-traffic", "resourceVersion": "1"}
        self.objects[self.config_map] = {"metadata": metadata, "data": {"traffic.json": json.dumps(document)}}

    def add_pod(self, name: str, *, ready: bool) -> None:
        condition = {"type": "Ready", "status": str(ready)}
        self.pods.append({"metadata": {"name": name}, "status": {"conditions": [condition]}})

    def respond(self, method: str, path: str, headers: Message, body: bytes) -> tuple[int, Any]:
        del headers
        return self._answer(method, path.partition("?")[0], json.loads(body) if body else None)

    def _answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        if self.refuse is not None and method != "GET":
            return self.refuse, {"kind": "Status", "code": self.refuse}
        if method == "GET" and path in self.lists:
            return 200, {"items": self.lists[path]}
        if method == "POST":
            self.objects[f"{path}/{body['metadata']['name']}"] = body
            return 201, body
        if path in self.objects:
            if method == "PUT":
                self.objects[path] = body
            return 200, self.objects[path]
        return 404, {"kind": "Status", "code": 404}


def _deployment() -> dict[str, Any]:
    container = {"name": "service", "ports": [{"name": "admin", "containerPort": 8081}]}
    secret = {"secretName": "churn-admin", "items": [{"key": "token", "path": "token"}]}
    volumes = [{"name": "traffic", "configMap": {"name": "churn-traffic"}}, {"name": "admin", "secret": secret}]
    labels = {"app.kubernetes.io/instance": "churn"}
    template = {"spec": {"containers": [container], "volumes": volumes}}
    return {
        "metadata": {"name": "churn-model-service", "labels": labels},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }


@contextmanager
def api_server() -> Iterator[ApiServer]:
    """One under way."""
    with ApiServer().running() as server:
        yield server
