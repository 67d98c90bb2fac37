"""Fifty models with a pod each, which a fake node runs: what each costs the operator and the API server."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.cluster import Namespace
from support.kwok import SCHEDULING, fake_node
from support.operator import Models, Operator, resource

MANY = 50
NAMES = [f"many-{number}" for number in range(MANY)]
REAL = "real"


@pytest.fixture
def operator(namespace: Namespace) -> Iterator[Operator]:
    with Operator(namespace, "shepherd").installed() as found:
        yield found


@pytest.fixture
def models(namespace: Namespace, operator: Operator, bundles: Any, spec: Any, tmp_path: Path) -> Iterator[Models]:
    """With one real model, whose pod answers for all the pods of the fake node."""
    found = Models(namespace)
    found.apply(REAL, spec(bundles["1"]))
    found.wait(REAL)
    (pod,) = found.pods(REAL)
    with fake_node(tmp_path, pod["status"]["podIP"]):
        yield found
        namespace.kubectl("delete", "modeldeployments", REAL, *NAMES, "--ignore-not-found")


def test_fifty_models(models: Models, operator: Operator, bundles: Any, spec: Any) -> None:
    wanted = spec(bundles["1"], scheduling=SCHEDULING)
    settle(models, wanted, operator, "created")
    settle(models, wanted | {"resources": {"requests": {"cpu": "200m"}}}, operator, "changed, every pod replaced")
    idle = settled(operator)
    print(f"figure: {MANY} settled models cost {idle:.1f} calls a second, the Lease included")
    assert idle < MANY / 10
    status = models.status(NAMES[-1])
    assert (status["version"], status["digest"], status["ready"]) == ("1", bundles["1"]["digest"], "1/1")


def settled(operator: Operator) -> float:
    """Calls a second once the last old pods are gone: hardly a turn in ten seconds."""
    for _ in range(30):
        before = operator.metrics()
        time.sleep(10)
        since = operator.metrics().since(before)
        if since.total("reconciles_total") < MANY / 10:
            return since.total("api_requests_total") / 10
    raise AssertionError("the operator does not come to rest")


def settle(models: Models, spec: dict[str, Any], operator: Operator, done: str) -> None:
    """Apply it to all of them, and tell what that took until each has its pod, ready and as asked for."""
    before, started = operator.metrics(), time.monotonic()
    models.namespace.apply(*(resource(name, spec) for name in NAMES))
    models.wait(*NAMES, patience=300)
    took, samples = time.monotonic() - started, operator.metrics().since(before)
    calls, turns = (samples.total(f"{name}_total") / MANY for name in ("api_requests", "reconciles"))
    p99 = samples.p99("reconcile_duration_seconds")
    print(f"\nfigure: {MANY} models {done}: all pods ready and told after {took:.0f} s")
    print(f"figure: {calls:.0f} calls and {turns:.0f} turns each, 99 of 100 turns within {p99:g} s")
    assert p99 <= 5
