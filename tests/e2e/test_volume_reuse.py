"""The init container runs again on a volume that it filled before: the same end, and nothing is moved twice."""

import json
from collections.abc import Callable
from typing import Any

from support.cluster import Bucket, Namespace, wait_for
from support.volumes import node_volume

from model_artifact import __version__


def outcome(namespace: Namespace, pod: str) -> Any:
    """What the init container said last."""
    return json.loads(namespace.kubectl("logs", pod, "--container=fetch").splitlines()[-1])


def test_a_filled_volume_is_verified_and_kept(
    namespace: Namespace, bucket: Bucket, packed: Callable[[str], Any], values: Any
) -> None:
    bundle = packed("1")
    uri = bucket.upload(bundle.path, "kept/1")
    with node_volume(f"kept-{namespace.name}", namespace, f"modelport/init-container:{__version__}") as volume:
        given = values(uri, bundle.digest)
        given["initContainer"]["volume"] = {"persistentVolumeClaim": {"claimName": volume.name}}
        namespace.helm("install", "kept", given, "--wait")
        (first,) = namespace.ready_pods("kept")
        before = outcome(namespace, first)
        namespace.kubectl("delete", "pod", first)
        wait_for(lambda: len(namespace.ready_pods("kept")) == 1, "the next pod")
        (second,) = namespace.ready_pods("kept")
        after = outcome(namespace, second)
        namespace.helm("uninstall", "kept", None, "--wait")
    print(f"\nfigure: bytes moved by the first init container {before['moved']}, by the next {after['moved']}")
    assert second != first
    assert (before["already_there"], after["already_there"]) == (False, True)
    assert after["digest"] == before["digest"] == bundle.digest
    assert after["moved"] < before["moved"] / 2
