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


def test_with_an_autoscaler_the_chart_never_writes_replicas() -> None:
    assert render(URI | {"replicaCount": 4}).one("Deployment")["spec"]["replicas"] == 4
    assert render(URI).kind("HorizontalPodAutoscaler") == []
    rendered = render(given("autoscaling"))
    deployment, scaler = rendered.one("Deployment"), rendered.one("HorizontalPodAutoscaler")
    assert "replicas" not in deployment["spec"]
    assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (2, 8)
    assert scaler["spec"]["behavior"] == {"scaleUp": {"stabilizationWindowSeconds": 30}}
    (metric,) = scaler["spec"]["metrics"]
    assert metric["resource"] == {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}


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
    assert {"name": "gcs", "mountPath": "/etc/gcs", "readOnly": True} in rendered.fetch["volumeMounts"]
    assert {"name": "site", "mountPath": "/etc/site", "readOnly": True} in rendered.service["volumeMounts"]
    assert rendered.one("Service")["spec"]["type"] == "LoadBalancer"


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
