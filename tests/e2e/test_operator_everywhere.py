"""The operator as `k8s/operator` installs it, without helm: in a restricted namespace, with rights in all of them."""

from collections.abc import Iterator
from typing import Any

import pytest
from support.cluster import REPO, Namespace, run
from support.operator import Models

FOLDER = REPO / "k8s" / "operator"
NAME = "anywhere"


@pytest.fixture
def system() -> Iterator[Namespace]:
    """The operator's own namespace; the definition stays when it goes."""
    found = Namespace("modelport-system")
    run("kubectl", "wait", "--for=delete", f"namespace/{found.name}", "--timeout=60s")
    run("kubectl", "apply", "--server-side", "--force-conflicts", "--kustomize", str(FOLDER))
    found.kubectl("rollout", "status", "deployment/modelport-model-operator", "--timeout=90s")
    yield found
    run("kubectl", "delete", "--filename", str(FOLDER / "resources.yaml"), "--wait=false")
    run("kubectl", "delete", "namespace", found.name, "--wait=false")


def test_a_model_in_any_namespace_is_served_and_changed(
    system: Namespace, namespace: Namespace, bundles: Any, spec: Any
) -> None:
    models = Models(namespace)
    extra = {"metrics": {"dashboard": {"enabled": True}}, "networkPolicy": {"enabled": True}}
    for version in bundles:
        models.apply(NAME, spec(bundles[version], replicas=2, values=extra))
        models.wait(NAME)
        status = models.status(NAME)
        assert (status["version"], status["ready"]) == (version, "2/2")
        assert models.condition(NAME, "Degraded")[:2] == ("False", "AsExpected")
    log = system.kubectl("logs", "deployment/modelport-model-operator")
    assert "leading, with chart" in log
    assert "forbidden" not in log
    models.delete(NAME)
