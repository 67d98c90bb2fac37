"""A cluster (`make cluster`), its images (`make images`), a restricted namespace, a bucket with real bundles."""

import os
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support.cluster import Bucket, Namespace, run

from model_artifact import __version__
from modelport import pack
from modelport.packing import Packed


@pytest.fixture(scope="session")
def namespace() -> Iterator[Namespace]:
    """An empty namespace that enforces the restricted Pod Security level."""
    name = f"e2e-{secrets.token_hex(3)}"
    run("kubectl", "create", "namespace", name)
    run("kubectl", "label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    yield Namespace(name)
    run("kubectl", "delete", "namespace", name, "--wait=false")


@pytest.fixture
def models_namespace() -> Iterator[Namespace]:
    """The one that k8s/ and skaffold.yaml name: not there at first, and left to go away at the end."""
    run("kubectl", "wait", "--for=delete", "namespace/models", "--timeout=120s")
    yield Namespace("models")
    run("kubectl", "delete", "namespace", "models", "--ignore-not-found", "--wait=false")


@pytest.fixture(scope="session")
def bucket() -> Bucket:
    return Bucket(f"models-{secrets.token_hex(3)}")


@pytest.fixture(scope="session")
def data() -> Any:
    return load_breast_cancer(as_frame=True)


@pytest.fixture(scope="session")
def estimator(data: Any) -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(data.data, data.target)


@pytest.fixture(scope="session")
def packed(data: Any, estimator: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Packed]:
    """Pack the estimator as version `version`."""
    destination = tmp_path_factory.mktemp("packed")

    def make(version: str) -> Packed:
        labels = {0: "malignant", 1: "benign"}
        return pack(
            estimator, data.data, name="cancer", version=version, destination=destination, labels=labels, force=True
        )

    return make


@pytest.fixture(scope="session")
def row(data: Any) -> dict[str, Any]:
    """One request."""
    return {"features": data.data.iloc[0].to_dict()}


@pytest.fixture(scope="session")
def values() -> Callable[..., dict[str, Any]]:
    """Chart values for a model in the emulated bucket; keywords replace top-level keys."""

    def make(uri: str, digest: str | None = None, **others: Any) -> dict[str, Any]:
        image = {"tag": __version__, "pullPolicy": "IfNotPresent"}
        emulator = {"name": "STORAGE_EMULATOR_HOST", "value": os.environ["CLUSTER_FAKE_GCS_POD_URL"]}
        return {
            "model": {"uri": uri} | ({"digest": digest} if digest else {}),
            "image": image,
            "initContainer": {"image": image, "extraEnv": [emulator]},
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
            "drain": {"delaySeconds": 6},
            "service": {"type": "NodePort"},
        } | others

    return make


@pytest.fixture(scope="session")
def bundles(bucket: Bucket, packed: Callable[[str], Packed]) -> dict[str, dict[str, str]]:
    """`spec.model` of two versions in the bucket."""
    found = {}
    for version in ("1", "2"):
        bundle = packed(version)
        uri = bucket.upload(bundle.path, f"operated/{version}")
        found[version] = {"uri": uri, "digest": bundle.digest, "name": "cancer", "version": version}
    return found


@pytest.fixture(scope="session")
def spec(values: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """`spec` of a ModelDeployment that suits the development cluster; keywords are fields of it."""

    def make(model: dict[str, str], **fields: Any) -> dict[str, Any]:
        given = values("")
        kept = {key: given[key] for key in ("image", "initContainer", "drain", "service")}
        return {"model": model, "resources": given["resources"], "values": kept | fields.pop("values", {})} | fields

    return make
