"""A corrupt artifact and a missing one: new pods never answer, old ones serve on, the pod says why, a fix heals."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.cluster import Bucket, Namespace, wait_for
from support.load import Load


@pytest.mark.parametrize(("fault", "reason"), [("corrupt", "ChecksumMismatch"), ("missing", "NotFound")])
def test_a_bad_artifact_never_serves_and_heals_when_fixed(
    namespace: Namespace, bucket: Bucket, packed: Callable[[str], Any], values: Any, row: Any, fault: str, reason: str
) -> None:
    good, bad = packed("1"), packed("2")
    namespace.helm("install", fault, values(bucket.upload(good.path, f"{fault}/1"), good.digest), "--wait")
    uri = bucket.upload(bad.path, f"{fault}/2")
    key = f"{fault}/2/model.onnx"
    original = Path(bad.path, "model.onnx").read_bytes()
    if fault == "corrupt":
        bucket.put(key, original[:-1] + bytes([original[-1] ^ 1]))
    else:
        bucket.delete(key)
    load = Load(f"{namespace.url(fault)}/predict", row)
    with load.running():
        namespace.helm("upgrade", fault, values(uri, bad.digest))
        told = wait_for(lambda: reason in namespace.messages(fault), f"the reason {reason}", patience=60)
        assert load.versions["2"] == 0
        bucket.put(key, original)
        healed = wait_for(lambda: load.versions["2"] > 0, "version 2", patience=240)
        wait_for(lambda: len(namespace.pods(fault)) == 1, "the end of the rollout")
    print(f"\nfigure: {fault} artifact: reason in the pod after {told:.0f} s, healed {healed:.0f} s after the fix")
    assert load.failures == {}
