"""The HPA follows the load up and down."""

from collections.abc import Callable
from typing import Any

from support.cluster import Bucket, Namespace, wait_for
from support.load import Load

RELEASE = "elastic"


def test_one_to_three_and_back_without_a_failed_request(
    namespace: Namespace, bucket: Bucket, packed: Callable[[str], Any], values: Any, row: Any
) -> None:
    bundle = packed("1")
    scaling = {"enabled": True, "minReplicas": 1, "maxReplicas": 3, "targetCPUUtilizationPercentage": 60}
    given = values(bucket.upload(bundle.path, "elastic/1"), bundle.digest, autoscaling=scaling)
    namespace.helm("install", RELEASE, given, "--wait", "--timeout=180s")
    url = f"{namespace.url(RELEASE)}/predict"
    heavy = Load(url, row, rate=300)
    with heavy.running():
        up = wait_for(lambda: len(namespace.ready_pods(RELEASE)) == 3, "3 replicas", patience=300)
    light = Load(url, row, rate=5, connections=2)
    with light.running():
        down = wait_for(lambda: len(namespace.pods(RELEASE)) == 1, "1 replica", patience=400)
    print(f"\nfigure: 1 to 3 replicas in {up:.0f} s, back in {down:.0f} s; {dict(heavy.outcomes + light.outcomes)}")
    assert (heavy.failures, light.failures) == ({}, {})
