"""A rollout through whole turns: stable and candidate in the same pods, and traffic that never touches the template."""

import json
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

import pytest
import trustme
from support.answering import Answering
from support.control_plane import ControlPlane

from model_operator.cluster import ApiError
from model_operator.reconcile import Reconciler

from .conftest import MODEL, NAMESPACE, RESOURCES

KEY = (NAMESPACE, "churn")
SECOND = MODEL | {"uri": "gs://shop/churn/2", "version": "2"}
ROLLOUT = {"steps": [{"weight": 50, "pauseSeconds": 3600}]}
IP = "127.77.0.1"


@dataclass
class Pod:
    """What every pod of these tests is like: the document in force, why it takes no other, and whom it was asked by."""

    document: dict[str, Any] = field(default_factory=lambda: {"generation": 0, "models": {}})
    refusal: str = ""
    authorization: list[str | None] = field(default_factory=list)
    before_answer: Callable[[], None] = lambda: None


class Port(Answering):
    """One of its two ports."""

    def __init__(self, pod: Pod, port: int, context: ssl.SSLContext | None = None) -> None:
        super().__init__((IP, port), context)
        self.pod = pod

    def respond(self, method: str, path: str, headers: Message, body: bytes) -> tuple[int, Any]:
        if method == "PUT":
            return self._put(headers, json.loads(body))
        self.pod.before_answer()
        health = {"models": [{"version": "1", "digest": "sha256:a"}, {"version": "2", "digest": "sha256:b"}]}
        return 200, {"/admin/traffic": self.pod.document, "/health": health}.get(path, "")

    def _put(self, headers: Message, document: dict[str, Any]) -> tuple[int, Any]:
        self.pod.authorization.append(headers["Authorization"])
        if self.pod.refusal:
            return 409, {"message": self.pod.refusal}
        self.pod.document.update(document)
        return 200, document


@pytest.fixture
def pod() -> Iterator[Pod]:
    """What listens at the address of every pod of these tests."""
    found = Pod()
    with Port(found, 8000).running(), Port(found, 8081).running():
        yield found


@pytest.fixture
def rolled(start: Callable[[], Reconciler], apply: Any, pods_follow: Any, pod: Pod) -> Reconciler:
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
    plane: ControlPlane, rolled: Reconciler, apply: Any, pod: Pod
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


def test_an_abort_is_told(plane: ControlPlane, rolled: Reconciler, apply: Any, pod: Pod) -> None:
    until(rolled, plane, "Stepping")
    apply({"modelport.dev/rollout": "abort"}, model=SECOND, rollout=ROLLOUT)
    until(rolled, plane, "Aborted")
    rolled.turn(KEY)
    assert "weights" not in pod.document["models"]["churn"]
    (degraded,) = [each for each in status(plane)["conditions"] if each["type"] == "Degraded"]
    assert degraded["status"] == "True"
    assert degraded["message"].endswith(f"(revision {status(plane)['servingRevision']} serves)")


def test_a_pod_that_does_not_take_the_traffic_is_told(
    plane: ControlPlane, start: Callable[[], Reconciler], apply: Any, pods_follow: Any, pod: Pod
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
    plane: ControlPlane, rolled: Reconciler, apply: Any, pod: Pod
) -> None:
    until(rolled, plane, "Stepping")
    apply({"modelport.dev/rollout": "abort"}, model=SECOND, rollout=ROLLOUT)

    def meanwhile() -> None:
        there = plane.one("modeldeployments", "churn")
        plane.put(f"{RESOURCES}/churn", there | {"status": there["status"] | {"stage": "Promoted"}})

    pod.before_answer = meanwhile
    with pytest.raises(ApiError) as caught:
        rolled.turn(KEY)
    assert caught.value.status == 409
    assert status(plane)["stage"] == "Promoted"
    assert pod.document["models"]["churn"]["weights"] == {"1": 50, "2": 50}


def test_another_process_goes_on_with_what_is_stored(
    plane: ControlPlane, rolled: Reconciler, start: Callable[[], Reconciler], pod: Pod
) -> None:
    until(rolled, plane, "Stepping")
    rolled.turn(KEY)
    before, document = status(plane), dict(pod.document)
    start().turn(KEY)
    assert pod.document == document
    assert {key: status(plane)[key] for key in ("stage", "sources", "rollout")} == {
        key: before[key] for key in ("stage", "sources", "rollout")
    }


def test_pods_with_a_certificate_are_checked_by_the_authorities_of_a_config_map(
    plane: ControlPlane, start: Callable[[], Reconciler], apply: Any, pods_follow: Any
) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(f"churn.{NAMESPACE}.svc").configure_cert(context)
    operator, found = start(), Pod()
    tls = {"caBundle": {"configMap": "authorities", "key": "ca.crt"}}
    spec = {"rollout": ROLLOUT, "tls": tls, "values": {"config": {"tls_cert_file": "/etc/tls/tls.crt"}}}
    apply(**spec)
    with Port(found, 8000, context).running(), Port(found, 8081, context).running():
        for _ in range(3):
            operator.turn(KEY)
            pods_follow()
        operator.turn(KEY)
        (degraded,) = [each for each in status(plane)["conditions"] if each["type"] == "Degraded"]
        assert degraded["reason"] == "AuthoritiesMissing"
        assert "ConfigMap authorities has no entry ca.crt" in degraded["message"]
        data = {"ca.crt": authority.cert_pem.bytes().decode()}
        path = f"/api/v1/namespaces/{NAMESPACE}/configmaps/authorities"
        plane.put(path, {"metadata": {"name": "authorities", "namespace": NAMESPACE}, "data": data})
        operator.turn(KEY)
        assert found.document["models"]["churn"]["default"] == "1"
        assert status(plane)["digest"] == "sha256:a"
        apply(model=SECOND, **spec)
        for _ in range(3):
            operator.turn(KEY)
            pods_follow()
        until(operator, plane, "Stepping")


def test_a_memory_that_somebody_else_wrote_stops_everything_and_is_told(
    plane: ControlPlane, rolled: Reconciler, apply: Any
) -> None:
    until(rolled, plane, "Stepping")
    there = plane.one("modeldeployments", "churn")
    spoilt = there["status"] | {"rollout": there["status"]["rollout"] | {"memory": '{"step": "two"}'}}
    plane.put(f"{RESOURCES}/churn", there | {"status": spoilt})
    before = plane.one("deployments", "churn")
    for _ in range(2):
        assert rolled.turn(KEY) == 15
    (degraded,) = [each for each in status(plane)["conditions"] if each["type"] == "Degraded"]
    assert (degraded["status"], degraded["reason"]) == ("True", "StateUnreadable")
    assert "kubectl -n models patch md churn --subresource=status" in degraded["message"]
    assert "(step: Input should be a valid integer" in degraded["message"]
    assert plane.one("deployments", "churn") == before
    plane.put(f"{RESOURCES}/churn", there | {"status": {key: it for key, it in spoilt.items() if key != "rollout"}})
    rolled.turn(KEY)
    assert status(plane)["rollout"]["stable"] == "2"
