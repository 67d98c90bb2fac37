"""A cluster with the operator and the definition of before: both are upgraded by helm, and no pod notices."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.cluster import Namespace, run, wait_for
from support.load import Load
from support.operator import CHART, Models, Operator, install_definition, resource

BEFORE = Path(__file__).parent / "crds" / "v1alpha1-first.yaml"
STEPS = {"steps": [{"weight": 100, "pauseSeconds": 1}], "analysis": {"minRequests": 1}}
DONE = "reconcile_duration_seconds_count"
DRY_RUN = ("apply", "--server-side", "--force-conflicts", "--dry-run=server")


@pytest.fixture
def chart_before(tmp_path: Path) -> Path:
    """The operator's chart with the definition as it was."""
    folder = tmp_path / "model-operator"
    shutil.copytree(CHART, folder)
    shutil.copy(BEFORE, folder / "files" / "modeldeployments.yaml")
    about = yaml.safe_load((folder / "Chart.yaml").read_text())
    (folder / "Chart.yaml").write_text(json.dumps(about | {"version": "0.0.9"}))
    return folder


@pytest.fixture
def operator(namespace: Namespace, chart_before: Path) -> Iterator[Operator]:
    """The one of before, whose release owns the definition."""
    found = Operator(namespace, "veteran")
    old = {"release": "before"}
    found.install("--take-ownership", chart=chart_before, crds={"install": True}, podAnnotations=old)
    yield found
    found.uninstall()
    install_definition()


@pytest.fixture
def specs(bundles: Any, spec: Any) -> dict[str, Any]:
    """What was there before, as people keep it."""
    return {
        "plain": spec(bundles["1"]),
        "scaled": spec(bundles["1"], autoscaling={"mode": "hpa", "maxReplicas": 1}),
        "stepped": spec(bundles["1"], rollout=STEPS),
    }


def test_definition_and_operator_are_upgraded_under_load(
    operator: Operator, namespace: Namespace, specs: dict[str, Any], bundles: Any, spec: Any, row: Any
) -> None:
    models = Models(namespace)
    assert definition() == definition(BEFORE)
    for name, wanted in specs.items():
        models.apply(name, wanted)
    models.wait(*specs)
    before = {name: made(models, name) for name in specs}
    load = Load(f"{namespace.url('stepped')}/predict", row)
    with load.running():
        leader, started = operator.leader(), time.monotonic()
        operator.install(crds={"install": True})
        assert definition() == definition(CHART / "files" / "modeldeployments.yaml")
        wait_for(lambda: operator.leader() not in {"", leader}, "the new operator", 60)
        seconds = time.monotonic() - started
        wait_for(lambda: operator.metrics().total(DONE) >= len(specs), "a look at each", 60)
        assert {name: made(models, name) for name in specs} == before
        for name, wanted in specs.items():
            assert applied(namespace, resource(name, wanted)) == models.get(name)["spec"]
            assert models.condition(name, "ChartOutdated")[0] == "False"
        models.apply("plain", specs["plain"] | {"replicas": 2})
        wait_for(lambda: models.status("plain").get("ready") == "2/2", "a second pod")
        assert before["plain"][1] < made(models, "plain")[1]
        models.apply("stepped", spec(bundles["2"], rollout=STEPS))
        wait_for(lambda: models.status("stepped")["rollout"]["stable"] == "2", "the candidate's promotion")
    print(f"\nfigure: the new operator leads {seconds:.0f} s after helm began; {dict(load.outcomes)}")
    assert load.failures == {}
    models.delete(*specs)


def made(models: Models, name: str) -> tuple[int, set[str]]:
    """What the operator has made of a resource: the generation of its Deployment, and the pods."""
    generation: int = models.namespace.get("deployment", name)["metadata"]["generation"]
    return generation, {pod["metadata"]["uid"] for pod in models.pods(name)}


def definition(file: Path | None = None) -> Any:
    """The schema that the API server has, or would have after a file was applied."""
    name = "customresourcedefinition/modeldeployments.modelport.dev"
    command = ("get", name) if file is None else (*DRY_RUN, f"--filename={file}")
    return json.loads(run("kubectl", *command, "--output=json"))["spec"]


def applied(namespace: Namespace, item: dict[str, Any]) -> Any:
    """`spec` as it would be if somebody applied the file that it came from once more."""
    command = ("kubectl", "--namespace", namespace.name, *DRY_RUN, "--filename=-", "--output=json")
    return json.loads(run(*command, text=json.dumps(item)))["spec"]
