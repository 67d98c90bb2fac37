"""Every switch of the chart, and all of k8s/, as the API server itself judges it in a restricted namespace."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.chart import VALUE_SETS, api_schema
from support.cluster import CHART, REPO, Namespace, run

OVERLAYS = sorted((REPO / "k8s" / "overlays").iterdir())
GROUPS = {"gateway.networking.k8s.io", "keda.sh", "monitoring.coreos.com"}


@pytest.fixture(scope="module")
def custom_resources() -> Iterator[None]:
    """The definitions of the custom resources that the chart can make; those that were not there go at the end."""
    wanted = {item["metadata"]["name"]: item for item in api_schema("definitions") if item["spec"]["group"] in GROUPS}
    there = set(run("kubectl", "get", "customresourcedefinitions", "-o", "name").split())
    missing = {
        name: item
        for name, item in wanted.items()
        if f"customresourcedefinition.apiextensions.k8s.io/{name}" not in there
    }
    apply = ("kubectl", "apply", "--server-side", "--filename=-")
    if missing:
        run(*apply, text="\n---\n".join(json.dumps(item) for item in missing.values()))
        names = [f"crd/{name}" for name in missing]
        run("kubectl", "wait", "--for=condition=Established", "--timeout=60s", *names)
    yield
    if missing:
        run("kubectl", "delete", "customresourcedefinitions", *missing, "--wait=false")


def judged(namespace: str, manifests: str) -> tuple[int, str]:
    """Exit code and complaints of a server-side dry run, warnings of the restricted level included."""
    run("kubectl", "label", "namespace", namespace, "pod-security.kubernetes.io/warn=restricted", "--overwrite")
    apply = ["kubectl", "--namespace", namespace, "apply", "--dry-run=server", "--validate=strict", "--filename", "-"]
    result = subprocess.run(apply, input=manifests, capture_output=True, text=True, check=False)
    return result.returncode, result.stderr


@pytest.mark.usefixtures("custom_resources")
@pytest.mark.parametrize("values", VALUE_SETS, ids=lambda path: path.stem)
def test_the_api_server_takes_the_render_without_a_warning(namespace: Namespace, values: Path) -> None:
    flags = ("--namespace", namespace.name, "--values", str(values), "--no-hooks")
    render = run("helm", "template", "dry", str(CHART), *flags)
    assert judged(namespace.name, render) == (0, "")


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.name)
def test_the_api_server_takes_what_kustomize_makes(namespace: Namespace, overlay: Path) -> None:
    made = run("kubectl", "kustomize", str(overlay)).replace("namespace: models", f"namespace: {namespace.name}")
    objects = [text for text in made.split("\n---\n") if "kind: Namespace" not in text]
    assert judged(namespace.name, "\n---\n".join(objects)) == (0, "")
