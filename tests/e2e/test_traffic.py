"""Traffic that moves between versions under load: at once, in every pod, without a restart, and for pods to come."""

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.cluster import Bucket, Namespace, wait_for
from support.load import Load

MODELPORT = str(Path(sys.executable).with_name("modelport"))
RELEASE = "moved"


def modelport(namespace: Namespace, *arguments: str, check: bool = True) -> str:
    """Run a command of ours against the release."""
    command = [MODELPORT, *arguments, "--kubernetes", RELEASE, "--namespace", namespace.name]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0 or not check, done.stderr
    return done.stdout if check else done.stderr


@pytest.fixture(scope="module")
def given(namespace: Namespace, bucket: Bucket, packed: Callable[[str], Any]) -> Any:
    """Versions, and the Secret with the admin token."""
    token = f"--from-literal=token={secrets.token_hex(32)}"
    namespace.kubectl("create", "secret", "generic", "moved-admin", token)
    found = {}
    for version in ("1", "2", "3"):
        bundle = packed(version)
        found[version] = {
            "uri": bucket.upload(bundle.path, f"moved/{version}"), "digest": bundle.digest, "version": version,
        }  # fmt: skip
    return found


def uids(namespace: Namespace) -> set[str]:
    return {pod["metadata"]["uid"] for pod in namespace.pods(RELEASE)}


def shares(load: Load, requests: int) -> dict[str, float]:
    """Of so many requests from now on."""
    before, sent = dict(load.versions), load.sent
    wait_for(lambda: load.sent >= sent + requests, f"{requests} requests")
    new = {version: count - before.get(version, 0) for version, count in dict(load.versions).items()}
    return {version: count / sum(new.values()) for version, count in new.items() if count}


@pytest.mark.smoke
def test_traffic_moves_under_load_and_no_pod_is_touched(
    namespace: Namespace, given: dict[str, Any], values: Any, row: Any
) -> None:
    release = values(given["1"]["uri"], given["1"]["digest"]) | {
        "model": given["1"],
        "versions": [given["2"], given["3"]],
        "admin": {"enabled": True, "existingSecret": "moved-admin"},
        "replicaCount": 2,
    }
    namespace.helm("install", RELEASE, release, "--wait", "--timeout=180s")
    before = uids(namespace)
    load = Load(f"{namespace.url(RELEASE)}/predict", row, rate=50)
    with load.running():
        assert shares(load, 100) == {"1": 1.0}
        started = time.monotonic()
        modelport(namespace, "traffic", "set", "cancer", "1=50", "2=50")
        print(f"\nfigure: weights in force on 2 pods after {time.monotonic() - started:.1f} s")
        assert shares(load, 500) == pytest.approx({"1": 0.5, "2": 0.5}, abs=0.1)
        modelport(namespace, "traffic", "shadow", "cancer", "3")
        wait_for(lambda: shadowed(namespace) > 100, "requests that the shadow was asked too")
        namespace.helm("upgrade", RELEASE, release, "--wait", "--timeout=180s")
        assert json.loads(modelport(namespace, "traffic", "show", "--json"))["generation"] == 2
        assert uids(namespace) == before
        namespace.kubectl("scale", f"deployment/{RELEASE}-model-service", "--replicas=3")
        wait_for(lambda: len(namespace.ready_pods(RELEASE)) == 3, "a third pod")
        starts_with = json.loads(modelport(namespace, "models", "list", "--json"))
        assert len(starts_with) == 3
        for listing in starts_with.values():
            used = {item["version"]: (item["weight"], item["shadow"]) for item in listing["models"]}
            assert used == {"1": (50, 0), "2": (50, 0), "3": (0, 100)}
            assert listing["generation"] == 2
        modelport(namespace, "traffic", "shadow", "cancer", "--off")
        modelport(namespace, "traffic", "default", "cancer", "2")
        assert shares(load, 100) == {"2": 1.0}
    print(f"figure: traffic moved under load {dict(load.outcomes)}")
    assert load.failures == {}
    assert before < uids(namespace)


def test_values_move_traffic_too_and_a_refused_change_moves_nothing(
    namespace: Namespace, given: dict[str, Any], values: Any, row: Any
) -> None:
    release = values("") | {
        "model": given["1"],
        "versions": [given["2"]],
        "admin": {"enabled": True, "existingSecret": "moved-admin"},
    }
    namespace.helm("upgrade", RELEASE, release, "--install", "--wait", "--timeout=180s")
    wait_for(lambda: len(namespace.pods(RELEASE)) == 1, "one pod")
    refused = modelport(namespace, "traffic", "set", "cancer", "1=90", "9=10", check=False)
    assert "cancer version 9 is not served here" in refused
    in_force = json.loads(modelport(namespace, "traffic", "show", "--json"))
    before = uids(namespace)
    load = Load(f"{namespace.url(RELEASE)}/predict", row, rate=20)
    with load.running():
        traffic = {"generation": in_force["generation"] + 1, "models": {"cancer": {"default": "1"}}}
        namespace.helm("upgrade", RELEASE, release | {"traffic": traffic}, "--wait", "--timeout=180s")
        seen = load.versions["1"]
        seconds = wait_for(lambda: load.versions["1"] > seen + 20, "traffic to follow the values")
        assert shares(load, 40) == {"1": 1.0}
    print(f"\nfigure: traffic from the values in force after {seconds:.0f} s, {dict(load.outcomes)}")
    assert load.failures == {}
    assert uids(namespace) == before
    namespace.helm("uninstall", RELEASE)


def shadowed(namespace: Namespace) -> float:
    """Requests that the shadow answered, in all pods."""
    lines = [line for pod in namespace.ready_pods(RELEASE) for line in namespace.raw(pod, "/metrics").splitlines()]
    told = [line for line in lines if line.startswith("model_shadow_requests_total{") and 'outcome="ok"' in line]
    return sum(float(line.rpartition(" ")[2]) for line in told)
