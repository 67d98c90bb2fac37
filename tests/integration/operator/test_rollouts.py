"""A rollout through whole turns: stable and candidate in the same pods, and traffic that never touches the template."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from support.control_plane import ControlPlane

from model_operator.cluster import ApiError
from model_operator.reconcile import Reconciler

from .conftest import MODEL, NAMESPACE, RESOURCES

KEY = (NAMESPACE, "churn")
SECOND = MODEL | {"uri": "gs://shop/churn/2", "version": "2"}
ROLLOUT = {"steps": [{"weight": 50, "pauseSeconds": 3600}]}
IP = "127.77.0.1"


class Pod(BaseHTTPRequestHandler):
    """The two ports of the one pod."""

    document: dict[str, Any]
    refusal: str
    authorization: list[str | None]

    def do_GET(self) -> None:
        answers = {
            "/admin/traffic": self.document,
            "/health": {"models": [{"version": "1", "digest": "sha256:a"}, {"version": "2", "digest": "sha256:b"}]},
        }
        self.send(200, answers.get(self.path, ""))

    def do_PUT(self) -> None:
        document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.authorization.append(self.headers["Authorization"])
        if self.refusal:
            self.send(409, {"message": self.refusal})
            return
        self.document.update(document)
        self.send(200, document)

    def send(self, status: int, body: Any) -> None:
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def pod() -> Iterator[type[Pod]]:
    """What listens at the address of every pod of these tests."""
    document = {"generation": 0, "models": {}}
    handler = type("One", (Pod,), {"document": document, "refusal": "", "authorization": []})
    servers = [ThreadingHTTPServer((IP, port), handler) for port in (8000, 8081)]
    for server in servers:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield handler
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def rolled(start: Callable[[], Reconciler], apply: Any, pods_follow: Any, pod: type[Pod]) -> Reconciler:
    """An operator whose resource serves version 1, and whose pods have the candidate 2."""
    operator = start()
    apply(rollout=ROLLOUT)
    for _ in range(3):
        operator.turn(KEY)
        pods_follow()
    apply(model=SECOND, rollout=ROLLOUT)
    for _ in range(3):
        operator.turn(KEY)
        pods_follow()
    return operator


def status(plane: ControlPlane) -> dict[str, Any]:
    found: dict[str, Any] = plane.one("modeldeployments", "churn")["status"]
    return found


def until(operator: Reconciler, plane: ControlPlane, stage: str) -> None:
    for _ in range(10):
        if status(plane)["stage"] == stage:
            return
        operator.turn(KEY)
    pytest.fail(f"never {stage}: {status(plane)['stage']}")


def test_weights_and_promotion_leave_the_template_alone(
    plane: ControlPlane, rolled: Reconciler, apply: Any, pod: type[Pod]
) -> None:
    until(rolled, plane, "Stepping")
    template = plane.one("deployments", "churn")["spec"]["template"]
    assert [source["version"] for source in status(plane)["sources"]] == ["1", "2"]
    rolled.turn(KEY)
    assert pod.document["models"]["churn"]["weights"] == {"1": 50, "2": 50}
    assert json.loads(plane.one("configmaps", "churn-traffic")["data"]["traffic.json"]) == pod.document
    assert status(plane)["trafficSummary"] == "1:50 2:50"
    assert status(plane)["servingRevision"].startswith("1-")
    assert status(plane)["targetRevision"].startswith("2-")
    assert (status(plane)["version"], status(plane)["digest"]) == ("1", "sha256:a")
    token = plane.one("secrets", "churn-admin")["stringData"]["token"]
    assert set(pod.authorization) == {f"Bearer {token}"}
    apply({"modelport.dev/rollout": "promote"}, model=SECOND, rollout=ROLLOUT)
    until(rolled, plane, "Promoted")
    rolled.turn(KEY)
    assert pod.document["models"]["churn"]["default"] == "2"
    assert plane.one("deployments", "churn")["spec"]["template"] == template
    assert status(plane)["servingRevision"].startswith("2-")
    assert (status(plane)["version"], status(plane)["digest"]) == ("2", "sha256:b")
    assert "Promoted" in {item["reason"] for path, item in plane.objects.items() if "/events/" in path}


def test_an_abort_is_told(plane: ControlPlane, rolled: Reconciler, apply: Any, pod: type[Pod]) -> None:
    until(rolled, plane, "Stepping")
    apply({"modelport.dev/rollout": "abort"}, model=SECOND, rollout=ROLLOUT)
    until(rolled, plane, "Aborted")
    rolled.turn(KEY)
    assert "weights" not in pod.document["models"]["churn"]
    (degraded,) = [each for each in status(plane)["conditions"] if each["type"] == "Degraded"]
    assert degraded["status"] == "True"
    assert degraded["message"].endswith(f"(revision {status(plane)['servingRevision']} serves)")


def test_a_pod_that_does_not_take_the_traffic_is_told(
    plane: ControlPlane, start: Callable[[], Reconciler], apply: Any, pods_follow: Any, pod: type[Pod]
) -> None:
    pod.refusal = "version 1 cannot be loaded"
    operator = start()
    apply(rollout=ROLLOUT)
    for _ in range(3):
        operator.turn(KEY)
        pods_follow()
    operator.turn(KEY)
    (degraded,) = [each for each in status(plane)["conditions"] if each["type"] == "Degraded"]
    assert degraded["reason"] == "TrafficNotTaken"
    assert "version 1 cannot be loaded" in degraded["message"]


def test_what_somebody_else_decided_meanwhile_is_not_overwritten(
    plane: ControlPlane, rolled: Reconciler, apply: Any, pod: type[Pod], monkeypatch: pytest.MonkeyPatch
) -> None:
    until(rolled, plane, "Stepping")
    apply({"modelport.dev/rollout": "abort"}, model=SECOND, rollout=ROLLOUT)
    look = Pod.do_GET

    def meanwhile(handler: Pod) -> None:
        there = plane.one("modeldeployments", "churn")
        plane.put(f"{RESOURCES}/churn", there | {"status": there["status"] | {"stage": "Promoted"}})
        look(handler)

    monkeypatch.setattr(pod, "do_GET", meanwhile)
    with pytest.raises(ApiError) as caught:
        rolled.turn(KEY)
    assert caught.value.status == 409
    assert status(plane)["stage"] == "Promoted"
    assert pod.document["models"]["churn"]["weights"] == {"1": 50, "2": 50}


def test_another_process_goes_on_with_what_is_stored(
    plane: ControlPlane, rolled: Reconciler, start: Callable[[], Reconciler], pod: type[Pod]
) -> None:
    until(rolled, plane, "Stepping")
    rolled.turn(KEY)
    before, document = status(plane), dict(pod.document)
    start().turn(KEY)
    assert pod.document == document
    assert {key: status(plane)[key] for key in ("stage", "sources", "rollout")} == {
        key: before[key] for key in ("stage", "sources", "rollout")
    }
