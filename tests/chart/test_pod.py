"""What the values of the pod do: images, scaling, the way it goes, scheduling, identity, extras."""

from typing import Any

import pytest
from support.chart import URI, given, render, variables

from model_artifact import __version__


def test_images_default_to_the_version_of_the_product() -> None:
    rendered = render(URI)
    assert rendered.service["image"] == f"modelport/service:{__version__}"
    assert rendered.fetch["image"] == f"modelport/init-container:{__version__}"


def test_a_digest_replaces_the_tag() -> None:
    rendered = render(given("images"))
    assert rendered.service["image"] == f"registry.example.com:5000/modelport/service@sha256:{'2' * 64}"
    assert rendered.fetch["image"] == "registry.example.com:5000/modelport/init-container:1.2.3"
    assert rendered.pod["imagePullSecrets"] == [{"name": "registry"}]
    assert rendered.one("Pod")["spec"]["imagePullSecrets"] == [{"name": "registry"}]


@pytest.mark.parametrize(
    ("drain", "own", "grace"),
    [({}, None, 50), ({"delaySeconds": 0, "requestTimeoutSeconds": 5}, None, 15), ({}, 50, 50), ({}, 300, 300)],
)
def test_grace_covers_drain_and_requests_in_flight(drain: Any, own: int | None, grace: int) -> None:
    rendered = render(URI | {"drain": drain, "terminationGracePeriodSeconds": own})
    env = variables(rendered.service)
    assert rendered.pod["terminationGracePeriodSeconds"] == grace
    parts = [float(env[f"MODELPORT_{name}_SECONDS"]) for name in ("DRAIN_DELAY", "REQUEST_TIMEOUT")]
    assert sum(parts) + 10 <= grace


def test_extras_reach_their_containers() -> None:
    rendered = render(given("extras"))
    assert variables(rendered.fetch)["GOOGLE_APPLICATION_CREDENTIALS"] == "/etc/gcs/key.json"
    assert variables(rendered.service)["OMP_NUM_THREADS"] == "1"
    assert rendered.service["envFrom"][1:] == [{"secretRef": {"name": "service-secrets", "optional": True}}]
    assert {"name": "gcs", "mountPath": "/etc/gcs", "readOnly": True} in rendered.fetch["volumeMounts"]
    assert {"name": "site", "mountPath": "/etc/site", "readOnly": True} in rendered.service["volumeMounts"]
    assert [container["name"] for container in rendered.pod["containers"]] == ["service", "sidecar"]
    assert [container["name"] for container in rendered.pod["initContainers"]] == ["wait", "fetch"]


def test_extra_objects_are_templates_of_the_release() -> None:
    names = [item["metadata"]["name"] for item in render(given("extras")).kind("ConfigMap")]
    assert "first-site" in names


def test_common_labels_are_on_every_object_and_pod_but_not_in_the_selector() -> None:
    rendered = render(URI | {"commonLabels": {"team": "growth", "app.kubernetes.io/instance": "ignored"}})
    deployment = rendered.one("Deployment")["spec"]
    labelled = [*rendered.objects, deployment["template"]]
    assert {item["metadata"]["labels"]["team"] for item in labelled} == {"growth"}
    assert {item["metadata"]["labels"]["app.kubernetes.io/instance"] for item in labelled} == {"first"}
    assert "team" not in deployment["selector"]["matchLabels"]


def test_overlays_are_merged_over_what_the_chart_renders() -> None:
    rendered = render(given("extras"))
    deployment = rendered.one("Deployment")["spec"]
    assert (deployment["minReadySeconds"], deployment["revisionHistoryLimit"], deployment["replicas"]) == (5, 3, 1)
    assert rendered.pod["hostAliases"] == [{"ip": "10.0.0.1", "hostnames": ["bucket.internal"]}]
    assert rendered.pod["enableServiceLinks"] is False
    assert rendered.service["lifecycle"] == {"preStop": {"sleep": {"seconds": 2}}}
    assert rendered.service["ports"]
    assert rendered.fetch["imagePullPolicy"] == "Always"


def test_an_overlay_changes_one_value_and_keeps_its_neighbours() -> None:
    overlay = {"service": {"readinessProbe": {"periodSeconds": 2}}, "pod": {"securityContext": {"fsGroup": 3000}}}
    rendered = render(URI | {"overlay": overlay})
    assert rendered.service["readinessProbe"] == {
        "httpGet": {"path": "/health", "port": "http", "scheme": "HTTP"},
        "periodSeconds": 2,
        "timeoutSeconds": 5,
        "failureThreshold": 2,
    }
    assert (rendered.pod["securityContext"]["fsGroup"], rendered.pod["securityContext"]["runAsUser"]) == (3000, 10001)


def test_a_gpu_is_asked_for_with_what_its_nodes_want() -> None:
    rendered = render(given("gpu"))
    assert rendered.service["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert rendered.pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert (rendered.pod["runtimeClassName"], rendered.pod["priorityClassName"]) == ("nvidia", "production")


def test_a_certificate_makes_everything_that_asks_speak_https() -> None:
    rendered = render(given("tls"))
    probes = ("startupProbe", "readinessProbe", "livenessProbe")
    assert {rendered.service[probe]["httpGet"]["scheme"] for probe in probes} == {"HTTPS"}
    assert rendered.one("Pod")["spec"]["containers"][0]["args"][1] == "https://first-model-service:80"
    assert rendered.one("ServiceMonitor")["spec"]["endpoints"][0]["scheme"] == "https"
    (trigger,) = rendered.one("ScaledObject")["spec"]["triggers"]
    assert trigger["metadata"]["url"].startswith("https://")


@pytest.mark.parametrize(("seconds", "timeout"), [(5, "60"), (30, "60"), (90, "120")])
def test_a_worker_may_be_silent_for_longer_than_a_request_takes(seconds: int, timeout: str) -> None:
    env = variables(render(URI | {"drain": {"requestTimeoutSeconds": seconds}}).service)
    assert env["MODELPORT_WORKER_TIMEOUT_SECONDS"] == timeout


def test_pods_are_scheduled_as_asked() -> None:
    rendered = render(given("scheduling"))
    template = rendered.one("Deployment")["spec"]["template"]
    assert template["metadata"]["labels"]["team"] == "growth"
    assert template["metadata"]["labels"]["app.kubernetes.io/name"] == "model-service"
    assert template["metadata"]["annotations"]["sidecar.istio.io/inject"] == "false"
    assert rendered.pod["nodeSelector"] == {"pool": "models"}
    assert rendered.pod["tolerations"][0]["key"] == "models"
    assert "nodeAffinity" in rendered.pod["affinity"]
    own, other = rendered.pod["topologySpreadConstraints"]
    selector = rendered.one("Deployment")["spec"]["selector"]
    assert (own["labelSelector"], other["labelSelector"]) == (selector, {"matchLabels": {"team": "growth"}})


@pytest.mark.parametrize(
    ("account", "name", "made"),
    [
        ({}, "first-model-service", 1),
        ({"name": "models"}, "models", 1),
        ({"create": False, "name": "models"}, "models", 0),
        ({"create": False}, "default", 0),
    ],
)
def test_the_service_account_is_made_or_named(account: Any, name: str, made: int) -> None:
    rendered = render(URI | {"serviceAccount": account})
    assert rendered.pod["serviceAccountName"] == name
    assert [item["metadata"]["name"] for item in rendered.kind("ServiceAccount")] == [name] * made


def test_the_platform_may_choose_user_ids() -> None:
    rendered = render(given("openshift"))
    assert not {"runAsUser", "runAsGroup", "fsGroup"} & rendered.pod["securityContext"].keys()


@pytest.mark.parametrize("release", ["r", "my-model-service", "r" * 53])
def test_names_fit_whatever_the_release_is_called(release: str) -> None:
    for item in render(URI, release=release).objects:
        assert len(item["metadata"]["name"]) <= 63
