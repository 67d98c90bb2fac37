"""A control plane in small, a chart with a stand-in for helm, and one ModelDeployment to play with."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from support import helm_stand_in
from support.control_plane import ControlPlane

from model_operator.cluster import Cluster
from model_operator.reconcile import Reconciler
from model_operator.render import Chart
from model_operator.tokens import Tokens

NAMESPACE = "models"
MODEL = {"uri": "gs://shop/churn/1", "name": "churn", "version": "1"}
RESOURCES = f"/apis/modelport.dev/v1alpha1/namespaces/{NAMESPACE}/modeldeployments"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pods of a busy machine may be slow to answer; none of them hangs."""
    for name in ("gathering.LOOK", "rollout.pods.LOOK", "rollout.pods.PUSH"):
        monkeypatch.setattr(f"model_operator.{name}", urllib3.Timeout(60))


@pytest.fixture
def plane() -> Iterator[ControlPlane]:
    with ControlPlane() as found:
        yield found


@pytest.fixture
def cluster(plane: ControlPlane) -> Cluster:
    return Cluster(plane.client)


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """A folder that is a chart as far as the operator looks into it."""
    (tmp_path / "chart").mkdir()
    (tmp_path / "chart" / "Chart.yaml").write_text("name: model-service\nversion: 1.0.0\n")
    return tmp_path / "chart"


@pytest.fixture
def helm(tmp_path: Path) -> str:
    program = tmp_path / "helm"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -P {helm_stand_in.__file__} "$@"\n')
    program.chmod(0o755)
    return str(program)


@pytest.fixture
def start(cluster: Cluster, chart: Path, helm: str) -> Callable[[], Reconciler]:
    """A new operator: it remembers nothing."""
    return lambda: Reconciler(cluster, Chart(chart, helm), Tokens(b"k" * 32), 300)


@pytest.fixture
def apply(plane: ControlPlane) -> Callable[..., dict[str, Any]]:
    """Create or change the ModelDeployment `churn`, with the defaults of its schema."""

    def change(annotations: dict[str, str] | None = None, **fields: Any) -> dict[str, Any]:
        spec = {
            "model": MODEL,
            "replicas": 1,
            "autoscaling": {"mode": "none", "minReplicas": 1, "maxReplicas": 5},
            "reloadPolicy": "Never",
            "reloadInterval": "5m",
        } | fields
        there = plane.objects.get(f"{RESOURCES}/churn", {"metadata": {"name": "churn", "namespace": NAMESPACE}})
        meta = there["metadata"] | {"annotations": annotations or {}}
        return plane.put(f"{RESOURCES}/churn", there | {"metadata": meta, "spec": spec})

    return change


@pytest.fixture
def pods_follow(plane: ControlPlane) -> Callable[..., None]:
    """What the Deployment controller and the kubelet do: as many pods as wanted, as the template says."""

    def follow(**status: Any) -> None:
        for name in plane.names("pods"):
            if not name.endswith("-source"):
                del plane.objects[f"{PODS}/{name}"]
        for name in plane.names("deployments"):
            make_pods(plane, name, status)

    return follow


def make_pods(plane: ControlPlane, deployment: str, status: dict[str, Any]) -> None:
    """The pods of one Deployment, those of `churn` at 127.77.0.1 and any others at 127.77.0.2."""
    found = plane.one("deployments", deployment)
    ready = {"conditions": [{"type": kind, "status": "True"} for kind in ("Ready", "Initialized")]}
    count, generation = found["spec"].get("replicas", 1), found["metadata"]["generation"]
    for number in range(count):
        name = f"{deployment}-{generation}-{number}"
        meta = found["spec"]["template"]["metadata"] | {"name": name, "namespace": NAMESPACE}
        ip = f"127.77.0.{1 if deployment == 'churn' else 2}"
        told = {"startTime": "2026-01-01T00:00:00Z", "podIP": ip} | (status or ready)
        plane.put(f"{PODS}/{name}", {"metadata": meta, "spec": found["spec"]["template"]["spec"], "status": told})
    seen = {"observedGeneration": generation, "replicas": count}
    plane.put(f"{DEPLOYMENTS}/{deployment}", found | {"status": seen})
