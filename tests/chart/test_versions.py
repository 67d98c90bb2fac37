"""Several versions in one pod, the traffic between them, and the port for commands."""

import json
from typing import Any

import pytest
from support.chart import URI, Render, given, merged, mounts, refusal, render, variables

from model_service.settings import load_settings
from model_service.traffic.document import parse

FOLDER = "/etc/modelport/traffic"
PINNED = {"uri": "gs://b/m/1", "digest": f"sha256:{'a' * 64}"}
ADMIN = {"admin": {"enabled": True, "existingSecret": "churn-admin"}}


def pod_template(values: Any) -> Any:
    return render(values).one("Deployment")["spec"]["template"]


def traffic(rendered: Render) -> Any:
    (found,) = [item for item in rendered.kind("ConfigMap") if item["metadata"]["name"].endswith("-traffic")]
    return found


def test_a_release_of_one_version_has_neither_traffic_nor_an_admin_port() -> None:
    rendered = render(URI)
    assert "traffic" not in rendered.volumes
    assert "MODELPORT_TRAFFIC_FILE" not in variables(rendered.service)
    assert [port["name"] for port in rendered.service["ports"]] == ["http"]
    assert len(rendered.kind("ConfigMap")) == 1


def test_each_further_version_is_fetched_by_a_container_of_its_own_into_the_same_root() -> None:
    fetchers = render(given("versions")).pod["initContainers"]
    assert [container["name"] for container in fetchers] == ["fetch", "fetch-1", "fetch-2"]
    wanted = [variables(container) for container in fetchers]
    assert [env["MODELPORT_FETCH_URI"] for env in wanted] == [
        "gs://models/churn/3", "gs://models/churn/4", "https://models.example.com/churn.onnx",
    ]  # fmt: skip
    assert [env["MODELPORT_FETCH_VERSION"] for env in wanted] == ["3", "4", "5"]
    assert wanted[1]["MODELPORT_FETCH_DIGEST"] == f"sha256:{'1' * 64}"
    assert wanted[2]["MODELPORT_FETCH_SHA256"] == "2" * 64
    assert "MODELPORT_FETCH_SHA256" not in wanted[1]
    assert {env["MODELPORT_FETCH_ROOT"] for env in wanted} == {"/mnt/models"}
    assert [mounts(container)["/mnt/models"] for container in fetchers] == [
        {"name": "models", "mountPath": "/mnt/models"}
    ] * 3


def test_the_pins_of_further_versions_reach_the_service_and_add_to_those_of_the_settings() -> None:
    env = variables(render(given("versions")).service)
    assert env["MODELPORT_VERSION_DIGESTS"] == f"sha256:{'1' * 64},{'2' * 64}"
    more = merged(given("versions"), {"config": {"version_digests": ["sha256:" + "9" * 64]}})
    assert variables(render(more).service)["MODELPORT_VERSION_DIGESTS"].startswith(
        f"sha256:{'9' * 64},sha256:{'1' * 64}"
    )
    assert "MODELPORT_VERSION_DIGESTS" not in variables(render(URI).service)


def test_fetchers_of_further_versions_are_the_first_ones_twins() -> None:
    values = given("versions") | {
        "initContainer": given("private-source")["initContainer"],
        "extraVolumes": [{"name": "extra", "emptyDir": {}}],
        "overlay": {"fetch": {"imagePullPolicy": "Always"}},
    }
    first, *others = render(values).pod["initContainers"]
    for other in others:
        assert {key: value for key, value in other.items() if key not in {"name", "env"}} == {
            key: value for key, value in first.items() if key not in {"name", "env"}
        }
        assert variables(other)["HTTPS_PROXY"] == variables(first)["HTTPS_PROXY"]


def test_the_document_is_one_that_the_service_takes() -> None:
    document = parse(traffic(render(given("versions")))["data"]["traffic.json"].encode())
    churn = document.models["churn"]
    assert document.generation == 2
    assert (churn.default, churn.weights, churn.pinned) == ("3", {"3": 90, "4": 10}, ("3", "4"))
    assert churn.shadow is not None
    assert (churn.shadow.version, churn.shadow.percent) == ("5", 20)
    assert churn.sticky is not None
    assert churn.sticky.header == "X-User-Id"


def test_the_document_is_mounted_as_a_folder_so_that_changes_arrive() -> None:
    rendered = render(given("versions"))
    assert rendered.volumes["traffic"]["configMap"] == {"name": "first-model-service-traffic", "optional": True}
    assert mounts(rendered.service)[FOLDER] == {"name": "traffic", "mountPath": FOLDER, "readOnly": True}
    assert variables(rendered.service)["MODELPORT_TRAFFIC_FILE"] == f"{FOLDER}/traffic.json"


@pytest.mark.parametrize("start", [given("versions"), URI | ADMIN])
def test_moved_traffic_changes_no_pod(start: Any) -> None:
    before = pod_template(start)
    for models in (
        {"churn": {"default": "4"}},
        {"churn": {"default": "3", "weights": {"3": 1, "4": 99}, "shadow": {"version": "5"}}},
        {},
    ):
        moved = start | {"traffic": {"generation": 9, "models": models}}
        assert pod_template(moved) == before
        assert json.loads(traffic(render(moved))["data"]["traffic.json"])["generation"] == 9


def test_a_further_version_changes_the_pods() -> None:
    start = given("versions")
    assert pod_template(start) != pod_template(start | {"versions": start["versions"][:1]})


def test_with_an_admin_port_a_document_without_models_is_there_to_be_filled() -> None:
    assert json.loads(traffic(render(URI | ADMIN))["data"]["traffic.json"]) == {"generation": 0, "models": {}}


def test_somebody_elses_document_is_mounted_and_none_is_made() -> None:
    rendered = render(given("operated"))
    assert rendered.volumes["traffic"]["configMap"]["name"] == "churn-of-the-operator"
    assert len(rendered.kind("ConfigMap")) == 1


def test_the_admin_port_is_reached_through_no_service() -> None:
    rendered = render(given("versions"))
    assert {"name": "admin", "containerPort": 9081} in rendered.service["ports"]
    assert [port["name"] for port in rendered.one("Service")["spec"]["ports"]] == ["http"]
    env = variables(rendered.service)
    assert (env["MODELPORT_ADMIN__PORT"], env["MODELPORT_ADMIN__HOST"]) == ("9081", "0.0.0.0")
    assert env["MODELPORT_ADMIN__TOKEN_FILE"] == "/etc/modelport/admin/admin-token"
    assert rendered.volumes["admin"]["secret"]["secretName"] == "churn-admin"
    assert mounts(rendered.service)["/etc/modelport/admin"]["readOnly"] is True


def test_a_secret_of_an_admin_port_that_is_off_is_not_mounted() -> None:
    rendered = render(URI | {"admin": {"existingSecret": "churn-admin"}})
    assert "admin" not in rendered.volumes


def test_the_network_policy_lets_only_those_to_the_admin_port_who_are_named() -> None:
    def rules(values: Any) -> Any:
        return {
            rule["ports"][0]["port"]: rule.get("from")
            for rule in render(values).one("NetworkPolicy")["spec"]["ingress"]
        }

    labels = {"kubernetes.io/metadata.name": "operations"}
    assert rules(given("versions")) == {"http": None, "admin": [{"namespaceSelector": {"matchLabels": labels}}]}
    assert rules(merged(given("versions"), {"networkPolicy": {"adminFrom": []}})) == {"http": None}
    assert rules(merged(given("versions"), {"admin": {"enabled": False}})) == {"http": None}


def test_the_service_reads_what_the_chart_sets(tmp_path: Any) -> None:
    token = tmp_path / "token"
    token.write_text("secret")
    env = {name: str(value) for name, value in variables(render(given("versions")).service).items()}
    settings, _ = load_settings(environment=env | {"MODELPORT_ADMIN__TOKEN_FILE": str(token)})
    assert settings.admin.port == 9081
    assert str(settings.traffic_file) == f"{FOLDER}/traffic.json"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"model": {"existingClaim": "models"}, "versions": [{"uri": "gs://b/m/2"}]}, "only fetched versions lie"),
        ({"model": {"baked": True}, "versions": [{"uri": "gs://b/m/2"}]}, "only fetched versions lie"),
        (URI | {"versions": [{"uri": "gs://b/m/2"}]}, "model.version: missing; with versions beside it"),
        (
            {"model": {"uri": "gs://b/m", "version": 1}, "versions": [PINNED | {"sha256": "b" * 64}]},
            "versions[0]: give digest for a bundle or sha256",
        ),
        (
            {"model": PINNED, "versions": [{"uri": "gs://b/m/2"}], "config": {"require_pinned": True}},
            "versions[0] is not pinned",
        ),
        (URI | {"trafficConfigMap": "theirs", "traffic": {"models": {"m": {"default": "1"}}}}, "give one of the two"),
        (URI | {"admin": {"enabled": True}}, "admin.existingSecret: missing"),
        (URI | {"versions": [{"url": "gs://b/m/2"}]}, "versions"),
        (URI | {"traffic": {"models": {"m": {"weights": {"1": 100}}}}}, "default"),
        (URI | {"traffic": {"models": {"m": {"default": "1", "weights": {"1": 101}}}}}, "weights"),
        (URI | {"traffic": {"models": {"m": {"default": "1", "shadow": {"percent": 5}}}}}, "shadow"),
        (URI | {"traffic": {"generation": -1}}, "generation"),
        (URI | {"config": {"admin": {"port": 9}}}, "admin"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_with_a_sentence(values: Any, sentence: str) -> None:
    assert sentence in refusal(values)


def test_an_admin_port_behind_access_control_needs_no_token_of_its_own() -> None:
    rendered = render(given("access") | {"admin": {"enabled": True}})
    env = variables(rendered.service)
    assert env["MODELPORT_ADMIN__PORT"] == "8081"
    assert "MODELPORT_ADMIN__TOKEN_FILE" not in env
