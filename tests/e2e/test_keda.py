"""KEDA scales on requests in flight, which it reads from the pods themselves; there is no Prometheus."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.cluster import REPO, Namespace, run, wait_for
from support.images import bake, write_wide_model
from support.load import Load
from support.operator import Models, Operator

SCRIPT = REPO / "scripts" / "cluster" / "keda.sh"


@pytest.fixture(scope="module")
def keda() -> Iterator[None]:
    """KEDA in the cluster."""
    run(str(SCRIPT))
    yield
    run(str(SCRIPT), "--delete")


@pytest.mark.usefixtures("keda")
def test_pods_follow_the_requests_in_flight(namespace: Namespace, values: Any, tmp_path: Path) -> None:
    write_wide_model(tmp_path / "wide.onnx", 100)
    run(sys.executable, "-m", "model_fetcher", "--root", str(tmp_path / "root"), str(tmp_path / "wide.onnx"))
    scaling = {
        "enabled": True,
        "scaler": "keda",
        "maxReplicas": 3,
        "keda": {"targetInFlight": 3, "pollingInterval": 5},
    }
    given = values("") | {
        "model": {"baked": True},
        "image": bake(tmp_path / "root" / "wide" / "1", "wide/1", f"{namespace.name}-keda"),
        "autoscaling": scaling,
    }
    namespace.helm("install", "flight", given, "--wait", "--timeout=180s")
    busy = Load(f"{namespace.url('flight')}/predict", {"features": [0.5] * 8}, rate=1000, connections=12)
    with busy.running():
        up = wait_for(lambda: len(namespace.ready_pods("flight")) == 3, "3 replicas", patience=240)
    quiet = Load(busy.url, busy.body, rate=2, connections=1)
    with quiet.running():
        down = wait_for(lambda: len(namespace.pods("flight")) == 1, "1 replica", patience=400)
    outcomes = dict(busy.outcomes + quiet.outcomes)
    print(f"\nfigure: KEDA on requests in flight: 1 to 3 replicas in {up:.0f} s, back in {down:.0f} s; {outcomes}")
    assert (busy.failures, quiet.failures) == ({}, {})
    namespace.helm("uninstall", "flight")


@pytest.mark.usefixtures("keda")
def test_the_operator_leaves_the_number_of_pods_to_keda(namespace: Namespace, bundles: Any, spec: Any) -> None:
    operator, models = Operator(namespace, "hovering"), Models(namespace)
    operator.install()
    models.apply("hovered", spec(bundles["1"]))
    models.wait("hovered")
    scaling = {"mode": "keda", "minReplicas": 2, "maxReplicas": 3, "targetInFlight": 3}
    models.apply("hovered", spec(bundles["1"], autoscaling=scaling))
    seconds = wait_for(lambda: models.status("hovered").get("ready") == "2/2", "KEDA's two pods")
    print(f"\nfigure: ModelDeployment in mode keda: 1 to 2 replicas in {seconds:.0f} s")
    assert models.condition("hovered", "Unsupported")[:2] == ("False", "AllHonoured")
    told = namespace.get("scaledobject", "hovered")["status"]["conditions"]
    assert {each["type"]: each["status"] for each in told}["Ready"] == "True"
    models.delete("hovered")
    wait_for(lambda: "hovered" not in namespace.kubectl("get", "scaledobjects", "--output=name"), "the end of it", 60)
    operator.uninstall()
