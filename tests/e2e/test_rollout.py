"""Rollouts and scale-downs under load: nobody sees an error."""

from collections.abc import Callable
from typing import Any

import pytest
from support.cluster import Bucket, Namespace, wait_for
from support.load import Load

RELEASE = "rolling"


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> int:
    """Rounds of each kind: one in the smoke set."""
    return 1 if request.config.option.markexpr == "smoke" else 3


@pytest.mark.smoke
def test_rollouts_and_scale_downs_lose_nothing(
    namespace: Namespace, bucket: Bucket, packed: Callable[[str], Any], values: Any, row: Any, rounds: int
) -> None:
    releases = {}
    for version in map(str, range(1, rounds + 2)):
        bundle = packed(version)
        releases[version] = values(bucket.upload(bundle.path, f"rolling/{version}"), bundle.digest, replicaCount=2)
    namespace.helm("install", RELEASE, releases["1"], "--wait", "--timeout=180s")
    load = Load(f"{namespace.url(RELEASE)}/predict", row)
    with load.running():
        wait_for(lambda: load.sent > 50, "the load")
        for version in list(releases)[1:]:
            namespace.helm("upgrade", RELEASE, releases[version], "--wait", "--timeout=180s")
            seen = load.versions[version]
            wait_for(lambda version=version, seen=seen: load.versions[version] > seen + 50, f"version {version}")
        rollouts = dict(load.outcomes)
        for _ in range(rounds):
            scale(namespace, 3)
            scale(namespace, 1)
    print(f"\nfigure: {rounds} rollouts {rollouts}; with {rounds} scale-downs {dict(load.outcomes)}")
    assert load.failures == {}
    assert load.versions[str(rounds + 1)] > 0


def scale(namespace: Namespace, replicas: int) -> None:
    """Scale and wait until exactly so many pods are left, gone ones included."""
    deployment = namespace.get("deployments", "-l", f"app.kubernetes.io/instance={RELEASE}")["items"][0]
    namespace.kubectl("scale", f"deployment/{deployment['metadata']['name']}", f"--replicas={replicas}")
    selector = f"app.kubernetes.io/instance={RELEASE}"

    def settled() -> bool:
        present = namespace.get("pods", "-l", selector)["items"]
        return len(present) == replicas == len(namespace.ready_pods(RELEASE))

    wait_for(settled, f"{replicas} pods")
