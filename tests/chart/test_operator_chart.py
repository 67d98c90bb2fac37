"""The operator's chart: valid, repeatable, restricted, with no more rights than what the other chart renders needs."""

import json
import re
import runpy
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from support import chart as model_service
from support.chart import REPO, VALUE_SETS, Render, complaints_of_the_api, merged, render, run_helm, template

from model_operator.desired import Held, chart_values, owned
from model_operator.gathering import Seen
from model_operator.kinds import RENDERED
from model_operator.planning import plan
from model_operator.render import Chart, ValuesRefused
from model_operator.rollout import Revision, RolloutState, Stage
from model_operator.rollout.state import Apart
from model_operator.settings import Settings

CHART = REPO / "charts" / "model-operator"
DEFINITION = CHART / "files" / "modeldeployments.yaml"
SETS = {path.name: yaml.safe_load(path.read_text()) for path in sorted(CHART.glob("ci/*-values.yaml"))}
SCRIPT = runpy.run_path(str(REPO / "scripts" / "chart_reference.py"))
PATHS = [value.path for value in SCRIPT["leaves"](CHART)]
OWN = {"modelport.dev", "coordination.k8s.io", "apps"}


@pytest.fixture(params=SETS)
def rendered(request: pytest.FixtureRequest) -> Render:
    return render(CHART / "ci" / request.param, chart=CHART)


@pytest.fixture
def plain() -> Render:
    return render({}, chart=CHART)


def rules(rendered: Render, kind: str, name: str) -> list[Any]:
    found = [item for item in rendered.kind(kind) if item["metadata"]["name"] == name]
    return [rule for item in found[:1] for rule in item["rules"]]


def test_lint_is_silent() -> None:
    result = run_helm("lint", str(CHART), "--strict")
    assert result.returncode == 0, result.stdout


def test_two_renders_are_byte_equal(rendered: Render) -> None:
    again = {template(CHART / "ci" / name, chart=CHART).stdout for name in SETS}
    assert rendered.text in again


def test_the_schemas_of_the_api_allow_every_object() -> None:
    for name in SETS:
        objects = render(CHART / "ci" / name, chart=CHART).objects
        checked = [item for item in objects if item["kind"] != "CustomResourceDefinition"]
        assert complaints_of_the_api("\n---\n".join(map(json.dumps, checked))) == ""


def test_every_object_bears_the_standard_labels(rendered: Render) -> None:
    for item in rendered.objects:
        labels = item["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == "first"
        assert labels["helm.sh/chart"].startswith("model-operator-")


def test_the_pod_keeps_to_the_restricted_level(rendered: Render) -> None:
    pod = rendered.one("Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["containers"]
    assert container["securityContext"].items() >= {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }.items()  # fmt: skip
    assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
    assert "memory" in container["resources"]["limits"]
    assert {f"{probe}Probe" for probe in ("startup", "readiness", "liveness")} <= container.keys()


def test_the_environment_is_what_the_program_reads(rendered: Render) -> None:
    (container,) = rendered.one("Deployment")["spec"]["template"]["spec"]["containers"]
    given = {item["name"]: item.get("value", "x") for item in container["env"]}
    Settings.read(
        given | {"MODELPORT_OPERATOR_CHART": str(model_service.CHART), "MODELPORT_OPERATOR_HELM": sys.executable}
    )


def test_rights_are_those_that_rendered_objects_need(plain: Render) -> None:
    granted: dict[tuple[str, str], set[str]] = {}
    for rule in rules(plain, "ClusterRole", "first-model-operator-models"):
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                granted.setdefault((group, resource), set()).update(rule["verbs"])
    needed = {(kind.group, kind.plural) for kind in RENDERED.values()}
    assert {place for place in granted if place[0] not in OWN} - needed == {
        ("", "secrets"), ("", "pods"), ("", "pods/log"), ("", "events"),
    }  # fmt: skip
    for place in needed:
        assert granted[place] - {"watch"} == {"get", "list", "create", "patch", "delete"}
    assert granted["", "secrets"] == {"create"}
    assert not any("*" in verbs for verbs in granted.values())
    assert granted["modelport.dev", "modeldeployments"] == {"get", "list", "watch"}


def test_with_namespaces_it_has_no_rights_in_others() -> None:
    rendered = render(CHART / "ci" / "namespaces-values.yaml", chart=CHART)
    bound = {item["metadata"]["namespace"] for item in rendered.kind("RoleBinding")}
    assert bound == {"models", "staging"}
    assert rendered.kind("ClusterRoleBinding") == []
    aggregated = [item["metadata"]["labels"] for item in rendered.kind("ClusterRole")]
    assert all(any(name.startswith("rbac.authorization.k8s.io/aggregate-to") for name in each) for each in aggregated)


def test_in_its_own_namespace_it_reads_its_own_secret_alone(plain: Render) -> None:
    own = [rule for rule in rules(plain, "Role", "first-model-operator") if "secrets" in rule["resources"]]
    assert {(tuple(rule["verbs"]), tuple(rule.get("resourceNames", ()))) for rule in own} == {
        (("create",), ()), (("get",), ("first-model-operator-key",)),
    }  # fmt: skip


def test_the_definition_stays_when_the_release_goes(plain: Render) -> None:
    definition = plain.one("CustomResourceDefinition")
    assert definition["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    source = yaml.safe_load(DEFINITION.read_text())
    assert definition["spec"] == source["spec"]


def test_the_copy_below_k8s_is_the_same() -> None:
    assert (REPO / "k8s" / "crd" / DEFINITION.name).read_bytes() == DEFINITION.read_bytes()


@pytest.mark.parametrize("name", SETS)
def test_value_sets_keep_to_the_schema(name: str) -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    jsonschema.validate(SETS[name], schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(SETS[name] | {"replica": 1}, schema)


@pytest.mark.parametrize("path", PATHS)
def test_every_value_is_set_by_a_value_set_and_changes_the_render(path: str) -> None:
    *places, last = path.split(".")
    for values in SETS.values():
        rest = deepcopy(values)
        below = rest
        for key in places:
            below = below.get(key, {})
        if last in below:
            del below[last]
            if template(rest, chart=CHART).stdout != template(values, chart=CHART).stdout:
                return
    pytest.fail(f"{path} changes nothing in any value set")


def test_tag_and_digest_together_are_refused() -> None:
    values = merged(SETS["digest-values.yaml"], {"image": {"tag": "1"}})
    assert "give a tag or a digest, not both" in template(values, chart=CHART).stderr


# What the operator makes of the model-service chart, with the real helm.

RESOURCE: dict[str, Any] = {"metadata": {"name": "churn", "namespace": "models", "uid": "u-1"}}
NONE = {"mode": "none", "minReplicas": 1, "maxReplicas": 5}
MODELS = [{"uri": f"gs://a/{version}", "name": "churn", "version": version} for version in ("1", "2")]


@pytest.fixture(scope="module")
def chart() -> Chart:
    return Chart(model_service.CHART, model_service.program("helm"))


def objects(chart: Chart, models: list[Any], **fields: Any) -> list[Any]:
    spec = {"model": models[0], "replicas": 2, "autoscaling": NONE} | fields
    return owned(chart.render("churn", "models", chart_values("churn", spec, Held(models, {}, "f00"))), RESOURCE)


def test_a_resource_renders_as_the_chart_says(chart: Chart) -> None:
    found = {item["kind"]: item for item in objects(chart, MODELS)}
    deployment = found["Deployment"]
    assert deployment["metadata"]["name"] == "churn"
    assert deployment["spec"]["replicas"] == 2
    assert "churn-traffic" not in {item["metadata"]["name"] for item in objects(chart, MODELS)}
    template = deployment["spec"]["template"]
    assert template["metadata"]["labels"]["modelport.dev/deployment"] == "churn"
    assert template["metadata"]["annotations"]["modelport.dev/rendered"] == "f00"
    volumes = json.dumps(template["spec"]["volumes"])
    assert "churn-traffic" in volumes
    assert "churn-admin" in volumes
    assert len(template["spec"]["initContainers"]) == 2


def test_access_is_the_value_of_the_chart(chart: Chart) -> None:
    access = model_service.given("access")["access"]
    plain, guarded = (
        next(item for item in found if item["kind"] == "Deployment")
        for found in (objects(chart, MODELS[:1]), objects(chart, MODELS[:1], access=access))
    )
    assert plain["spec"]["template"]["spec"] != guarded["spec"]["template"]["spec"]


@pytest.mark.parametrize("mode", ["hpa", "keda"])
def test_with_an_autoscaler_nothing_says_replicas(chart: Chart, mode: str) -> None:
    found = {item["kind"]: item for item in objects(chart, MODELS[:1], autoscaling=NONE | {"mode": mode})}
    assert "replicas" not in found["Deployment"]["spec"]
    assert {"hpa": "HorizontalPodAutoscaler", "keda": "ScaledObject"}[mode] in found


def test_the_chart_says_what_is_wrong_with_values(chart: Chart) -> None:
    with pytest.raises(ValuesRefused, match="wrokers") as caught:
        objects(chart, MODELS, values={"config": {"wrokers": 2}})
    assert "Error" not in str(caught.value)
    with pytest.raises(ValuesRefused, match=r"^tracing.endpoint: missing"):
        objects(chart, MODELS, values={"tracing": {"enabled": True}})


def separate(chart: Chart, **fields: Any) -> dict[tuple[str, str], Any]:
    """What is applied for version 1 and, in a Deployment of its own, version 2 of image 1.8."""
    stable, candidate = (
        Revision.model_validate(model | {"serviceImage": {"tag": tag}})
        for model, tag in zip(MODELS, ("1.7", "1.8"), strict=True)
    )
    state = RolloutState(
        stage=Stage.STEPPING, stable=stable, candidate=candidate, rendered=(stable,), apart=Apart(replicas=1, least=4)
    )
    spec = {"model": MODELS[1], "replicas": 2, "autoscaling": NONE} | fields
    found = plan(Seen(RESOURCE | {"spec": spec}, None, [], None), state, chart, None)
    assert not found.problems
    assert len(found.objects) == len({(item["kind"], item["metadata"]["name"]) for item in found.objects})
    return {(item["kind"], item["metadata"]["name"]): item for item in found.objects}


def test_a_candidate_of_another_image_is_the_same_pod_in_a_deployment_of_its_own(chart: Chart) -> None:
    monitor = {"metrics": {"monitor": "podMonitor", "dashboard": {"enabled": True}}, "networkPolicy": {"enabled": True}}
    found = separate(chart, values=monitor)
    first, second = (found["Deployment", name]["spec"] for name in ("churn", "churn-candidate"))
    assert second["replicas"] == 1
    assert not first["selector"]["matchLabels"].items() <= second["template"]["metadata"]["labels"].items()
    assert not second["selector"]["matchLabels"].items() <= first["template"]["metadata"]["labels"].items()
    assert second["template"]["metadata"]["labels"]["modelport.dev/deployment"] == "churn"
    pods = [deployment["template"]["spec"] for deployment in (first, second)]
    assert [pod["containers"][0]["image"].rpartition(":")[2] for pod in pods] == ["1.7", "1.8"]
    assert {pod["serviceAccountName"] for pod in pods} == {"churn"}
    as_first = json.dumps(second["template"]["spec"]).replace("churn-candidate", "churn").replace("1.8", "1.7")
    assert json.loads(as_first.replace("gs://a/2", "gs://a/1").replace('"2"', '"1"')) == first["template"]["spec"]
    own = {kind for kind, name in found if name.startswith("churn-candidate")}
    assert own == {"Deployment", "ConfigMap", "NetworkPolicy", "PodMonitor"}
    assert found.keys() >= {("Service", "churn"), ("ConfigMap", "churn-candidate-traffic")}


@pytest.mark.parametrize("mode", ["hpa", "keda"])
def test_an_autoscaler_scales_the_first_deployment_alone_and_leaves_it_its_pods(chart: Chart, mode: str) -> None:
    found = separate(chart, autoscaling=NONE | {"mode": mode})
    kind, least = {"hpa": ("HorizontalPodAutoscaler", "minReplicas"), "keda": ("ScaledObject", "minReplicaCount")}[mode]
    assert [name for each, name in found if each == kind] == ["churn"]
    assert found[kind, "churn"]["spec"][least] == 4
    assert found["Deployment", "churn-candidate"]["spec"]["replicas"] == 1


def test_every_kind_that_the_chart_renders_is_one_that_the_operator_applies() -> None:
    made = {item["kind"] for path in VALUE_SETS for item in render(path).objects if "helm.sh/hook" not in _marks(item)}
    assert made - set(RENDERED) <= {"Secret"}
    assert {kind for kind in RENDERED if kind not in made} == set()


def _marks(item: Any) -> Any:
    return item["metadata"].get("annotations", {})


def test_a_field_of_every_resource_has_its_documentation() -> None:
    schema = yaml.safe_load(DEFINITION.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    page = Path(REPO / "docs" / "operator.md").read_text()
    silent = [name for name in schema["properties"]["spec"]["properties"] if not re.search(rf"`{name}[`.]", page)]
    assert silent == []
