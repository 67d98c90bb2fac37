"""What Prometheus sees of the operator, and what the kubelet asks: `/metrics` and `/healthz` on a port of their own."""

import threading
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, make_wsgi_app

REGISTRY = CollectorRegistry()
_NAMES: dict[str, Any] = {"namespace": "modelport_operator", "registry": REGISTRY}
RECONCILES = Counter("reconciles", "Turns, by outcome: done or failed.", ["outcome"], **_NAMES)
RECONCILE_SECONDS = Histogram(
    "reconcile_duration_seconds", "Time of a turn.", buckets=(0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30), **_NAMES
)
API_REQUESTS = Counter("api_requests", "Calls of the API server, by verb and kind.", ["verb", "kind"], **_NAMES)
RENDERS = Counter(
    "chart_renders", "Renders of the chart, by outcome: rendered, cached or refused.", ["outcome"], **_NAMES
)
RESOURCES = Gauge("resources", "ModelDeployments that are looked after.", **_NAMES)
DEGRADED = Gauge("resource_degraded", "1 while a ModelDeployment is degraded.", ["namespace", "name"], **_NAMES)
WAITING = Gauge("queue_length", "Resources that wait for a turn.", **_NAMES)
LEADER = Gauge("leader", "1 while this process holds the Lease.", **_NAMES)


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        """Probes are not worth a line each."""


def serve(host: str, port: int, healthy: Callable[[], bool]) -> WSGIServer:
    """Answer in a thread: `/metrics`, and `/healthz` with 200 or 503."""
    metrics = make_wsgi_app(REGISTRY)

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/healthz":
            answer: Iterable[bytes] = metrics(environ, start_response)
            return answer
        good = healthy()
        start_response("200 OK" if good else "503 Service Unavailable", [("content-type", "text/plain")])
        return [b"ok\n" if good else b"the watch has ended\n"]

    server = make_server(host, port, app, handler_class=_Quiet)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server
