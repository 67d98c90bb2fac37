"""`helm install` into an empty restricted namespace, from a bucket, through the real client."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from support.cluster import Bucket, Namespace, wait_for

from modelport import Client

pytestmark = pytest.mark.smoke


def test_from_install_to_right_predictions(
    namespace: Namespace, bucket: Bucket, packed: Callable[[str], Any], values: Any, data: Any, estimator: Any
) -> None:
    bundle = packed("1")
    uri = bucket.upload(bundle.path, "cancer/1")
    started = time.monotonic()
    namespace.helm("install", "first", values(uri, bundle.digest))
    with Client(namespace.url("first")) as client:
        client.wait_until_ready(timeout=180)
        client.predict(data.data.iloc[0].to_dict())
        print(f"\nfigure: helm install to first prediction {time.monotonic() - started:.1f} s")
        batch = client.predict_batch(data.data.iloc[:100])
    assert [answer.prediction for answer in batch.predictions] == estimator.predict(data.data.iloc[:100]).tolist()
    scores = estimator.predict_proba(data.data.iloc[:100]).max(axis=1)
    assert max(abs(a.probability - b) for a, b in zip(batch.predictions, scores, strict=True)) < 1e-9
    wait_for(lambda: namespace.ready_pods("first"), "a ready pod")
    assert "Succeeded" in namespace.helm("test", "first")
