"""A Kubernetes API server in small: objects in memory behind the real HTTP paths, with the client's own protocol.

It knows collections, objects and subresources, versions of resources (a PUT with an old one is a conflict), merge
patches, server-side apply (as a replacement), discovery and watches. It knows no schemas and no garbage collection.
"""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from kubernetes import client

from support.answering import BACKLOG

FOREIGN = ("gateway.networking.k8s.io", "keda.sh", "monitoring.coreos.com")
KNOWN = {
    ("", "v1"): [("namespaces", "Namespace"), ("events", "Event")],
    ("apps", "v1"): [("deployments", "Deployment")],
    ("modelport.dev", "v1alpha1"): [("modeldeployments", "ModelDeployment")],
    ("apiextensions.k8s.io", "v1"): [("customresourcedefinitions", "CustomResourceDefinition")],
}
"""What discovery tells of, by group and version: plural and kind. kopf asks for more than it watches."""
Object = dict[str, Any]


class ControlPlane:
    """Start it as a context manager; `objects` is by path, `client` the official client that talks to it."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.calls: Counter[tuple[str, str]] = Counter()
        self.refuse: dict[tuple[str, str], tuple[int, str]] = {}
        """Status and message of what is to be refused, by verb and the end of the path."""
        self.logs: dict[str, str] = {}
        """By the pod's name."""
        self._version = 0
        self._lock = threading.Lock()
        self._news = threading.Condition(self._lock)
        self._history: list[tuple[int, str, str, Object]] = []
        self._closed = False

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.socket.listen(BACKLOG)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.client = client.ApiClient(client.Configuration(host=self.address))
        return self

    def __exit__(self, *_: object) -> None:
        with self._news:
            self._closed = True
            self._news.notify_all()
        self.client.rest_client.pool_manager.clear()
        self._server.shutdown()
        self._server.server_close()

    @property
    def address(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def wait_for(self, condition: Callable[[], bool], seconds: float = 120) -> bool:
        """Wait until something holds of the objects; whether it came to be."""
        with self._news:
            return self._news.wait_for(condition, seconds)

    def changes(self, path: str, since: int) -> Iterator[Object]:
        """Watch a collection, or the same kind in all namespaces, until the server ends."""
        plural, told = path.rsplit("/", 1)[1], since
        while not self._closed:
            with self._news:
                self._news.wait_for(lambda: self._closed or self._version > told, 30)  # noqa: B023 - at once
                fresh, told = [entry for entry in self._history if entry[0] > told], self._version
            for _, kind, place, item in fresh:
                if place.split("/")[-2] == plural:
                    yield {"type": kind, "object": item}

    def put(self, path: str, item: Object) -> Object:
        """Have an object at a path, as if somebody else had written it."""
        with self._lock:
            return self._store(path, item)

    def names(self, plural: str) -> set[str]:
        """Names of the objects of a kind."""
        return {path.rsplit("/", 1)[1] for path in list(self.objects) if path.split("/")[-2] == plural}

    def one(self, plural: str, name: str) -> Object:
        """An object of a kind."""
        (found,) = [item for path, item in self.objects.copy().items() if path.endswith(f"/{plural}/{name}")]
        return found

    def called(self, verb: str) -> int:
        """How often it was asked for something with this verb."""
        return sum(count for (each, _), count in dict(self.calls).items() if each == verb)

    def answer(self, verb: str, url: str, body: Any) -> tuple[int, Any]:
        """Status and body of one request."""
        with self._news:
            self._news.notify_all()
            return self._answer(verb, url, body)

    def _answer(self, verb: str, url: str, body: Any) -> tuple[int, Any]:
        parts = urlsplit(url)
        path, query = parts.path, parse_qs(parts.query)
        self.calls[verb, path] += 1
        for (refused, ending), (status, message) in self.refuse.copy().items():
            if verb == refused and path.endswith(ending):
                return _failure(status, message)
        if any(f"/{group}/" in path for group in FOREIGN):
            return _failure(404, "the server could not find the requested resource")
        if verb == "GET" and (found := _discovery(path)) is not None:
            return 200, found
        if path.endswith("/log"):
            return 200, self.logs.get(path.split("/")[-2], "")
        if verb == "POST":
            return self._create(f"{path}/{body['metadata']['name']}", body)
        if verb == "GET" and (path.split("/")[-3] == "namespaces" or "namespaces" not in path):
            items = self._select(path, query.get("labelSelector", [""])[0])
            return 200, {"metadata": {"resourceVersion": str(self._version)}, "items": items}
        return self._change(verb, path.removesuffix("/status"), body, applies="force" in query)

    def _create(self, path: str, item: Object) -> tuple[int, Any]:
        if path in self.objects:
            return _failure(409, f"{path} already exists")
        return 201, self._store(path, item)

    def _change(self, verb: str, path: str, body: Any, *, applies: bool) -> tuple[int, Any]:
        there = self.objects.get(path)
        if applies:
            kept = {key: there["metadata"][key] for key in ("uid", "creationTimestamp")} if there else {}
            status = {"status": there["status"]} if there and "status" in there else {}
            return 200, self._store(path, body | {"metadata": body["metadata"] | kept} | status)
        if there is None:
            return _failure(404, f"{path} not found")
        if verb == "GET":
            return 200, there
        if verb == "DELETE":
            self._tell("DELETED", path, there)
            return 200, self.objects.pop(path)
        if verb == "PUT":
            if body["metadata"].get("resourceVersion") != there["metadata"]["resourceVersion"]:
                return _failure(409, "the object has been modified")
            return 200, self._store(path, body)
        if body.get("metadata", {}).get("resourceVersion") not in {None, there["metadata"]["resourceVersion"]}:
            return _failure(409, "the object has been modified")
        return 200, self._store(path, merge(there, body))

    def _select(self, path: str, selector: str) -> list[Object]:
        label, _, value = selector.partition("=")
        kind, everywhere = path.rsplit("/", 1)[1], "namespaces" not in path
        found = [
            item
            for place, item in self.objects.items()
            if place.rsplit("/", 1)[0] == path or (everywhere and place.split("/")[-2] == kind)
        ]
        labelled = [item for item in found if label in item["metadata"].get("labels", {})] if label else found
        return [item for item in labelled if not value or item["metadata"]["labels"][label] == value]

    def _store(self, path: str, item: Object) -> Object:
        before = self.objects.get(path, {})
        changed = before.get("spec") != item.get("spec")
        meta = dict(item["metadata"])
        meta["generation"] = before.get("metadata", {}).get("generation", 0) + int(changed)
        meta["resourceVersion"] = str(self._version + 1)
        meta.setdefault("uid", f"uid-{self._version}")
        meta.setdefault("creationTimestamp", "2026-01-01T00:00:00Z")
        self.objects[path] = item | {"metadata": meta}
        self._tell("MODIFIED" if before else "ADDED", path, self.objects[path])
        return self.objects[path]

    def _tell(self, kind: str, path: str, item: Object) -> None:
        self._version += 1
        self._history.append((self._version, kind, path, item))
        self._news.notify_all()


def merge(below: Any, above: Any) -> Any:
    """A JSON merge patch (RFC 7386)."""
    if not isinstance(above, dict):
        return above
    kept = dict(below) if isinstance(below, dict) else {}
    for key, value in above.items():
        if value is None:
            kept.pop(key, None)
        else:
            kept[key] = merge(kept.get(key), value)
    return kept


def _discovery(path: str) -> Object | None:
    """What the paths above collections answer."""
    if path == "/api":
        return {"versions": ["v1"]}
    if path == "/apis":
        found = {group: {"groupVersion": f"{group}/{version}", "version": version} for group, version in KNOWN if group}
        return {"groups": [{"name": name, "versions": [v], "preferredVersion": v} for name, v in found.items()]}
    for (group, version), kinds in KNOWN.items():
        if path == (f"/apis/{group}/{version}" if group else f"/api/{version}"):
            return {"resources": [_resource(plural, kind) for plural, kind in kinds]}
    return None


def _resource(plural: str, kind: str) -> Object:
    namespaced = kind not in {"Namespace", "CustomResourceDefinition"}
    verbs = ["get", "list", "watch", "patch"]
    return {"name": plural, "singularName": kind.lower(), "kind": kind, "namespaced": namespaced, "verbs": verbs}


def _handler(plane: ControlPlane) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: Any) -> None:
            pass

        def _any(self) -> None:
            parts = urlsplit(self.path)
            query = parse_qs(parts.query)
            if query.get("watch") == ["true"]:
                self._watch(parts.path, int(query.get("resourceVersion", ["0"])[0]))
                return
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, answer = plane.answer(self.command, self.path, body)
            data = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _watch(self, path: str, since: int) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Connection", "close")
            self.end_headers()
            with suppress(OSError):
                for change in plane.changes(path, since):
                    self.wfile.write(json.dumps(change).encode() + b"\n")
                    self.wfile.flush()
            self.close_connection = True

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815

    return Handler


def _failure(status: int, message: str) -> tuple[int, Any]:
    return status, {"kind": "Status", "status": "Failure", "message": message, "code": status}
