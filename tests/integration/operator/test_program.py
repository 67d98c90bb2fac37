"""The program as it is started: metrics, health, and complaints of one line."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from support.control_plane import ControlPlane
from support.ports import free_port

from model_operator.metrics import serve
from model_operator.render import Chart, ValuesRefused

from .conftest import NAMESPACE

LEASE = "/apis/coordination.k8s.io/v1/namespaces/system/leases/modelport-operator"
CHART = Path(__file__).parents[3] / "charts" / "model-service"


def start(**environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("MODELPORT_", "KUBE"))}
    given = {f"MODELPORT_OPERATOR_{name.upper()}": text for name, text in environ.items()}
    command = [sys.executable, "-m", "model_operator"]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=300, env=kept | given | {"KUBECONFIG": "/nowhere"}
    )


def test_a_wrong_setting_ends_it_with_one_line() -> None:
    result = start(wokers="1")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "model-operator: unknown setting MODELPORT_OPERATOR_WOKERS; did you mean MODELPORT_OPERATOR_WORKERS?\n"
    )


def test_no_cluster_ends_it_with_one_line() -> None:
    result = start(chart=str(CHART), helm=sys.executable)
    assert result.returncode == 1
    assert result.stderr.startswith("model-operator: no cluster is known: run it in a pod, or set KUBECONFIG")
    assert "Traceback" not in result.stderr


@contextmanager
def running(
    plane: ControlPlane, chart: Path, helm: str, tmp_path: Path, **settings: str
) -> Iterator[subprocess.Popen[str]]:
    """The program, connected to a control plane as a person's kubeconfig would."""
    kubeconfig = tmp_path / "kubeconfig"
    context = {"name": "plane", "context": {"cluster": "plane", "user": "nobody"}}
    told = {"clusters": [{"name": "plane", "cluster": {"server": plane.address}}], "contexts": [context]}
    told |= {"users": [{"name": "nobody", "user": {"token": "t"}}], "current-context": "plane"}
    kubeconfig.write_text(json.dumps({"apiVersion": "v1", "kind": "Config"} | told))
    given = {
        "CHART": str(chart),
        "HELM": helm,
        "HOST": "127.0.0.1",
        "PORT": str(free_port()),
        "NAMESPACE": "system",
        "LEASE_SECONDS": "60",
        **settings,
    }
    environ = os.environ | {f"MODELPORT_OPERATOR_{name}": text for name, text in given.items()}
    command = [sys.executable, "-m", "model_operator"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environ | {"KUBECONFIG": str(kubeconfig)},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def holder(plane: ControlPlane) -> str:
    found: str = plane.one("leases", "modelport-operator")["spec"]["holderIdentity"]
    return found


def test_it_watches_acts_and_lets_go_of_the_lease(
    plane: ControlPlane, chart: Path, helm: str, tmp_path: Path, apply: Any, pods_follow: Any
) -> None:
    apply()
    with running(plane, chart, helm, tmp_path) as process:
        assert plane.wait_for(lambda: "churn" in plane.names("deployments"))
        pods_follow()  # a change of the Deployment, which is watched as well
        ready = lambda: plane.one("modeldeployments", "churn")["status"].get("ready") == "1/1"  # noqa: E731
        assert plane.wait_for(ready)
        apply(replicas=2)
        assert plane.wait_for(lambda: plane.one("deployments", "churn")["spec"]["replicas"] == 2)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert "leading, with chart 1.0.0" in output
    assert "Traceback" not in output
    assert holder(plane) == ""


def test_it_waits_for_the_definition(plane: ControlPlane, chart: Path, helm: str, tmp_path: Path, apply: Any) -> None:
    apply()
    plane.refuse["GET", "/apis/modelport.dev/v1alpha1"] = (404, "not found")
    with running(plane, chart, helm, tmp_path, LEASE_SECONDS="10") as process:
        assert plane.wait_for(lambda: plane.calls["GET", "/apis/modelport.dev/v1alpha1"] > 1)
        plane.refuse.clear()
        assert plane.wait_for(lambda: "churn" in plane.names("deployments"))
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=120)
    assert "the cluster has no modelport.dev/v1alpha1: apply k8s/crd" in output


def test_it_waits_for_its_turn_and_stops_when_told(
    plane: ControlPlane, chart: Path, helm: str, tmp_path: Path, apply: Any
) -> None:
    apply()
    spec = {"holderIdentity": "another", "leaseDurationSeconds": 3600}
    plane.put(LEASE, {"metadata": {"namespace": "system", "name": "modelport-operator"}, "spec": spec})
    with running(plane, chart, helm, tmp_path) as process:
        assert plane.wait_for(lambda: plane.calls["GET", LEASE] > 0)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert holder(plane) == "another"
    assert plane.names("deployments") == set()


def test_a_failing_turn_is_tried_again(plane: ControlPlane, chart: Path, helm: str, tmp_path: Path, apply: Any) -> None:
    apply()
    plane.refuse["PATCH", "/services/churn"] = (500, "etcd is away")
    with running(plane, chart, helm, tmp_path) as process:
        path = f"/api/v1/namespaces/{NAMESPACE}/services/churn"
        assert plane.wait_for(lambda: plane.calls["PATCH", path] > 1)
        plane.refuse.clear()
        assert plane.wait_for(lambda: "churn" in plane.names("services"))
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=120)
    assert "models/churn: the turn failed: etcd is away" in output
    assert "Traceback" not in output


def test_it_ends_when_somebody_takes_its_lease(
    plane: ControlPlane, chart: Path, helm: str, tmp_path: Path, apply: Any
) -> None:
    apply()
    with running(plane, chart, helm, tmp_path, LEASE_SECONDS="10") as process:
        assert plane.wait_for(lambda: "churn" in plane.names("deployments"))
        lease = plane.objects[LEASE]
        plane.put(LEASE, lease | {"spec": lease["spec"] | {"holderIdentity": "another"}})
        output, _ = process.communicate(timeout=120)
    assert process.returncode == 4, output
    assert "the lease is lost" in output
    assert holder(plane) == "another"


def test_metrics_and_health() -> None:
    healthy = [True]
    server = serve("127.0.0.1", 0, lambda: healthy[0])
    try:
        root = f"http://127.0.0.1:{server.server_port}"
        with urllib.request.urlopen(f"{root}/healthz") as answer:
            assert answer.read() == b"ok\n"
        with urllib.request.urlopen(f"{root}/metrics") as answer:
            assert b"modelport_operator_queue_length" in answer.read()
        healthy[0] = False
        with pytest.raises(HTTPError) as caught:
            urllib.request.urlopen(f"{root}/healthz")
        with caught.value as refused:
            assert refused.code == 503
    finally:
        server.shutdown()
        server.server_close()


def test_equal_values_are_rendered_once(chart: Path, helm: str) -> None:
    values = {"podLabels": {}, "podAnnotations": {}, "autoscaling": {"enabled": False}}
    found = Chart(chart, helm)
    first = found.render("churn", "models", values)
    Path(helm).write_text("#!/bin/sh\necho 'Error: gone' >&2\nexit 1\n")
    assert found.render("churn", "models", values) is first
    with pytest.raises(ValuesRefused, match=r"^gone$"):
        found.render("churn", "other", values)


def test_the_hash_covers_every_file(chart: Path, helm: str) -> None:
    before = Chart(chart, helm).hash
    (chart / "templates").mkdir()
    (chart / "templates" / "a.yaml").write_text("a: 1\n")
    assert Chart(chart, helm).hash != before
