"""Rollouts, scale-downs, new versions and rollbacks under load: nobody sees an error."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.cluster import Bucket, Namespace, wait_for
from support.load import Load

BEFORE = Path(__file__).parents[1] / "chart" / "releases" / "0.1.0" / "model-service-0.1.0.tgz"


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> int:
    """Rounds of each kind: one in the smoke set."""
    return 1 if request.config.option.markexpr == "smoke" else 5


def upgrade(namespace: Namespace, release: str, values: dict[str, Any]) -> None:
    namespace.helm("upgrade", release, values, "--wait", "--timeout=180s")


@pytest.mark.smoke
def test_rollouts_and_scale_downs_lose_nothing(
    namespace: Namespace, bucket: Bucket, packed: Callable[[str], Any], values: Any, row: Any, rounds: int
) -> None:
    releases = {}
    for version in map(str, range(1, rounds + 2)):
        bundle = packed(version)
        releases[version] = values(bucket.upload(bundle.path, f"rolling/{version}"), bundle.digest, replicaCount=2)
    namespace.helm("install", "rolling", releases["1"], "--wait", "--timeout=180s")
    load = Load(f"{namespace.url('rolling')}/predict", row)
    with load.running():
        wait_for(lambda: load.sent > 50, "the load")
        for version in list(releases)[1:]:
            upgrade(namespace, "rolling", releases[version])
            seen = load.versions[version]
            wait_for(lambda version=version, seen=seen: load.versions[version] > seen + 50, f"version {version}")
        rollouts = dict(load.outcomes)
        for _ in range(rounds):
            scale(namespace, "rolling", 3)
            scale(namespace, "rolling", 1)
    print(f"\nfigure: {rounds} rollouts {rollouts}; with {rounds} scale-downs {dict(load.outcomes)}")
    assert load.failures == {}
    assert load.versions[str(rounds + 1)] > 0
    namespace.helm("uninstall", "rolling")


def test_an_upgrade_and_a_rollback_switch_each_connection_once(
    namespace: Namespace, bucket: Bucket, packed: Callable[[str], Any], values: Any, row: Any
) -> None:
    given = {}
    for version in ("1", "2"):
        bundle = packed(version)
        given[version] = values(bucket.upload(bundle.path, f"switch/{version}"), bundle.digest)
    namespace.helm("install", "switch", given["1"], "--wait", "--timeout=180s")
    load = Load(f"{namespace.url('switch')}/predict", row)
    with load.running():
        wait_for(lambda: load.sent > 50, "the load")
        upgrade(namespace, "switch", given["2"])
        wait_for(lambda: len(namespace.pods("switch")) == 1, "the end of the rollout")
        wait_for(lambda: all(seen[-1:] == ["2"] for seen in load.sequences), "version 2 on every connection")
        namespace.helm("rollback", "switch", None, "1", "--wait", "--timeout=180s")
        wait_for(lambda: all(seen[-1:] == ["1"] for seen in load.sequences), "version 1 on every connection")
    print(f"\nfigure: upgrade and rollback {dict(load.outcomes)}; each connection saw {load.sequences}")
    assert load.failures == {}
    assert {tuple(seen) for seen in load.sequences} == {("1", "2", "1")}
    namespace.helm("uninstall", "switch")


def test_a_release_of_the_chart_before_is_upgraded_without_a_failure(
    namespace: Namespace, bucket: Bucket, packed: Callable[[str], Any], values: Any, row: Any
) -> None:
    bundle = packed("1")
    given = values(bucket.upload(bundle.path, "older/1"), bundle.digest)
    namespace.helm("install", "older", given, "--wait", "--timeout=180s", chart=BEFORE)
    load = Load(f"{namespace.url('older')}/predict", row)
    with load.running():
        wait_for(lambda: load.sent > 50, "the load")
        upgrade(namespace, "older", given)
        wait_for(lambda: len(namespace.pods("older")) == 1, "the end of the rollout")
    print(f"\nfigure: chart 0.1.0 to this one {dict(load.outcomes)}")
    assert load.failures == {}
    namespace.helm("uninstall", "older")


def scale(namespace: Namespace, release: str, replicas: int) -> None:
    """Scale and wait until exactly so many pods are left, gone ones included."""
    deployment = namespace.get("deployments", "-l", f"app.kubernetes.io/instance={release}")["items"][0]
    namespace.kubectl("scale", f"deployment/{deployment['metadata']['name']}", f"--replicas={replicas}")
    selector = f"app.kubernetes.io/instance={release}"

    def settled() -> bool:
        present = namespace.get("pods", "-l", selector)["items"]
        return len(present) == replicas == len(namespace.ready_pods(release))

    wait_for(settled, f"{replicas} pods")
