"""From nothing to right predictions, each way a model can come: bucket, claim, the service's own image, kustomize."""

import os
import time
from collections.abc import Callable
from typing import Any

import pytest
from support.cluster import REPO, Bucket, Namespace, run, wait_for
from support.images import bake
from support.volumes import node_volume

from model_artifact import __version__
from modelport import Client

INIT_IMAGE = f"modelport/init-container:{__version__}"


def first_prediction(url: str, row: Any, started: float, how: str) -> None:
    """Wait for it and print the seconds since `started`."""
    with Client(url) as client:
        client.wait_until_ready(timeout=90)
        client.predict(row)
    seconds = time.monotonic() - started
    print(f"\nfigure: {how} to first prediction {seconds:.1f} s")
    assert seconds < 180


@pytest.mark.smoke
def test_from_a_bucket_to_right_predictions(
    namespace: Namespace, bucket: Bucket, packed: Callable[[str], Any], values: Any, data: Any, estimator: Any
) -> None:
    bundle = packed("1")
    uri = bucket.upload(bundle.path, "cancer/1")
    started = time.monotonic()
    namespace.helm("install", "first", values(uri, bundle.digest))
    first_prediction(namespace.url("first"), data.data.iloc[0].to_dict(), started, "helm install from a bucket")
    with Client(namespace.url("first")) as client:
        batch = client.predict_batch(data.data.iloc[:100])
    assert [answer.prediction for answer in batch.predictions] == estimator.predict(data.data.iloc[:100]).tolist()
    scores = estimator.predict_proba(data.data.iloc[:100]).max(axis=1)
    assert max(abs(a.probability - b) for a, b in zip(batch.predictions, scores, strict=True)) < 1e-9
    wait_for(lambda: namespace.ready_pods("first"), "a ready pod")
    assert "Succeeded" in namespace.helm("test", "first")


def test_from_a_claim_that_holds_the_model(
    namespace: Namespace, bucket: Bucket, packed: Callable[[str], Any], values: Any, data: Any
) -> None:
    bundle = packed("1")
    uri = bucket.upload(bundle.path, "claim/1")
    with node_volume(f"claim-{namespace.name}", namespace, INIT_IMAGE) as volume:
        emulator = {"STORAGE_EMULATOR_HOST": os.environ["CLUSTER_FAKE_GCS_POD_URL"]}
        volume.run_as_root("python", "-m", "model_fetcher", "--root", "/volume", uri, env=emulator)
        started = time.monotonic()
        model = {"existingClaim": volume.name, "digest": bundle.digest}
        namespace.helm("install", "claimed", values("") | {"model": model})
        row = data.data.iloc[0].to_dict()
        first_prediction(namespace.url("claimed"), row, started, "helm install from a claim")
        namespace.helm("uninstall", "claimed", None, "--wait")


def test_from_a_model_in_the_services_own_image(
    namespace: Namespace, packed: Callable[[str], Any], values: Any, data: Any
) -> None:
    bundle = packed("1")
    image = bake(bundle.path, "cancer/1", namespace.name)
    given = values("") | {"model": {"baked": True, "digest": bundle.digest}, "image": image}
    started = time.monotonic()
    namespace.helm("install", "baked", given)
    row = data.data.iloc[0].to_dict()
    first_prediction(namespace.url("baked"), row, started, "helm install of a baked image")
    assert "initContainers" not in namespace.pods("baked")[0]["spec"]


@pytest.mark.smoke
def test_with_kustomize_and_no_bucket_at_all(models_namespace: Namespace) -> None:
    started = time.monotonic()
    run("kubectl", "apply", "--kustomize", str(REPO / "k8s" / "overlays" / "minikube"))
    flower = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
    first_prediction(models_namespace.url("model-service"), flower, started, "kubectl apply -k k8s/overlays/minikube")
