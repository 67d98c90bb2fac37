"""`--kubernetes`: what is asked of a cluster, and what is told when it does not answer as it should."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.apiserver import ApiServer, api_server

LOCATIONS = (
    "kubernetes.config.KUBE_CONFIG_DEFAULT_LOCATION",
    "kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION",
)
AT = ("--kubernetes", "churn")
DOCUMENT = {"generation": 3, "models": {"churn": {"default": "1"}}}


def configure(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    """As KUBECONFIG does, which is read when the client is imported."""
    for name in LOCATIONS:
        monkeypatch.setattr(name, str(file))


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    with api_server() as server:
        configure(monkeypatch, server.kubeconfig(tmp_path))
        server.set_document(DOCUMENT)
        yield server


def test_what_new_pods_start_with_is_shown(run, api):
    assert json.loads(run("traffic", "show", *AT, "--json").output) == DOCUMENT


def test_without_a_ready_pod_the_config_map_is_changed(run, api):
    api.add_pod("churn-1", ready=False)
    result = run("traffic", "set", "churn", "1=90", "2=10", *AT)
    assert result.exit_code == 0
    assert "no pod is ready: new ones start with it" in result.output
    assert api.document() == {"generation": 4, "models": {"churn": {"default": "1", "weights": {"1": 90, "2": 10}}}}
    assert api.objects[api.config_map]["metadata"]["resourceVersion"] == "1"  # so that a rival's change is noticed


def test_a_config_map_that_is_empty_or_not_there_holds_nothing(run, api):
    api.objects[api.config_map] = {"metadata": {"name": "churn-traffic"}, "data": {}}
    assert json.loads(run("traffic", "show", *AT, "--json").output) == {"generation": 0, "models": {}}
    del api.objects[api.config_map]
    assert json.loads(run("traffic", "show", *AT, "--json").output) == {"generation": 0, "models": {}}
    result = run("traffic", "default", "churn", "2", *AT)
    assert result.exit_code == 1
    assert "churn is not served there: no pod is ready" in result.stderr  # nobody says which version is the default


def test_a_rival_is_told_of(run, api):
    api.refuse = 409
    result = run("traffic", "default", "churn", "2", *AT)
    assert result.exit_code == 1
    assert "somebody else is changing the traffic too: ConfigMap churn-traffic was changed meanwhile" in result.stderr
    assert api.document() == DOCUMENT


def test_what_the_cluster_refuses_is_told(run, api):
    api.refuse = 403
    result = run("traffic", "default", "churn", "2", *AT)
    assert result.exit_code == 1
    assert result.stderr == "Error: ConfigMap churn-traffic: the cluster refused: Forbidden (HTTP 403)\n"


def test_a_pod_that_gives_no_answer_is_named_and_nothing_is_changed(run, api):
    api.add_pod("churn-1", ready=True)
    result = run("traffic", "default", "churn", "2", *AT)
    assert result.exit_code == 12
    assert "pod churn-1 gave no answer on its admin port" in result.stderr
    assert api.document() == DOCUMENT
    assert "pod churn-1 gave no answer" in run("models", "list", *AT).stderr


def test_without_a_ready_pod_no_version_can_be_loaded(run, api):
    result = run("models", "load", "churn", "2", *AT)
    assert (result.exit_code, result.stderr) == (1, "Error: no pod is ready\n")


def test_a_release_that_is_not_there_is_told(run, api):
    api.deployment["spec"]["template"]["spec"]["containers"][0]["name"] = "database"
    result = run("traffic", "show", *AT)
    assert result.stderr == "Error: there is no release churn of model-service in the namespace models\n"


def test_a_release_without_an_admin_port_says_how_to_open_it(run, api):
    api.deployment["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"name": "http", "containerPort": 8000}]
    result = run("traffic", "show", *AT)
    assert "release churn has no admin port: helm upgrade churn" in result.stderr
    assert "--set admin.enabled=true" in result.stderr


def test_a_release_of_the_operator_is_left_to_it(run, api):
    owner = {"apiVersion": "modelport.dev/v1alpha1", "kind": "ModelDeployment", "name": "churn", "uid": "1"}
    api.deployment["metadata"]["ownerReferences"] = [owner]
    assert "belongs to the ModelDeployment churn, whose operator would undo" in run("traffic", "show", *AT).stderr


def test_a_secret_that_may_not_be_read_asks_for_the_token(run, api, tmp_path):
    api.objects.pop(next(path for path in api.objects if "/secrets/" in path))
    refused = run("traffic", "show", *AT)
    assert refused.exit_code == 1
    assert "Secret churn-admin" in refused.stderr
    assert "--token-file" in refused.stderr
    token = tmp_path / "token"
    token.write_text("secret")
    assert run("traffic", "show", *AT, "--token-file", token).exit_code == 0


def test_a_release_behind_access_control_asks_for_a_token(run, api):
    volumes = api.deployment["spec"]["template"]["spec"]["volumes"]
    volumes[:] = [volume for volume in volumes if volume["name"] != "admin"]
    assert "give --token-file with one of role admin" in run("traffic", "show", *AT).stderr


def test_without_a_cluster_it_says_so(run, monkeypatch, tmp_path):
    configure(monkeypatch, tmp_path / "none")
    result = run("traffic", "show", *AT)
    assert result.exit_code == 1
    assert "no cluster is configured" in result.stderr


def test_a_cluster_that_is_away_is_told(run, monkeypatch, tmp_path):
    with api_server() as gone:
        configure(monkeypatch, gone.kubeconfig(tmp_path))
    result = run("traffic", "show", *AT)
    assert result.exit_code == 1
    assert "release churn: the cluster gave no answer" in result.stderr
