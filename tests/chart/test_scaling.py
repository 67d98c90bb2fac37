"""How many pods there are: replicas, autoscalers, and what may be taken away at a time."""

from typing import Any

import pytest
from support.chart import URI, given, merged, render


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


def test_any_metric_can_stand_in_for_cpu() -> None:
    values = given("custom-metrics")
    (metric,) = render(values).one("HorizontalPodAutoscaler")["spec"]["metrics"]
    assert metric == values["autoscaling"]["metrics"][0]
    without_request = merged(values, {"resources": {"requests": {"cpu": None}}})
    assert render(without_request).one("HorizontalPodAutoscaler")


def test_keda_asks_the_pods_for_their_requests_in_flight() -> None:
    rendered = render(given("keda"))
    assert rendered.kind("HorizontalPodAutoscaler") == []
    assert "replicas" not in rendered.one("Deployment")["spec"]
    spec = rendered.one("ScaledObject")["spec"]
    assert spec["scaleTargetRef"] == {"name": rendered.one("Deployment")["metadata"]["name"]}
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (2, 5)
    assert (spec["pollingInterval"], spec["cooldownPeriod"]) == (5, 60)
    assert spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"] == given("keda")["autoscaling"]["behavior"]
    (trigger,) = spec["triggers"]
    assert (trigger["type"], trigger["metricType"]) == ("metrics-api", "AverageValue")
    metadata = trigger["metadata"]
    service = rendered.one("Service")
    # KEDA takes name and namespace from the host, and the port is the pods' own.
    assert metadata["url"] == f"http://{service['metadata']['name']}.models.svc:8000/metrics"
    assert (metadata["aggregateFromKubeServiceEndpoints"], metadata["aggregationType"]) == ("true", "sum")
    assert (metadata["valueLocation"], metadata["targetValue"]) == ("model_requests_in_flight", "8")
    assert all(isinstance(value, str) for value in metadata.values())


def test_keda_asks_prometheus_where_there_is_one() -> None:
    (trigger,) = render(given("keda-prometheus")).one("ScaledObject")["spec"]["triggers"]
    assert trigger["type"] == "prometheus"
    assert trigger["metadata"]["serverAddress"] == "http://prometheus.monitoring:9090"
    assert trigger["metadata"]["query"].startswith('sum(model_requests_in_flight{namespace="models",')


def test_no_pods_at_all_with_a_trigger_of_ones_own() -> None:
    values = given("keda-to-zero")
    spec = render(values).one("ScaledObject")["spec"]
    assert spec["minReplicaCount"] == 0
    assert spec["triggers"] == values["autoscaling"]["keda"]["triggers"]


@pytest.mark.parametrize(
    ("values", "made"),
    [
        ({}, False),
        ({"replicaCount": 2}, True),
        ({"replicaCount": 2, "podDisruptionBudget": {"enabled": False}}, False),
        ({"replicaCount": 3, "autoscaling": {"enabled": True}}, False),
        ({"autoscaling": {"enabled": True, "minReplicas": 2}}, True),
    ],
)
def test_a_disruption_budget_only_where_there_is_always_more_than_one_pod(values: Any, made: bool) -> None:
    rendered = render(URI | values)
    budgets = rendered.kind("PodDisruptionBudget")
    assert len(budgets) == made
    for budget in budgets:
        assert budget["spec"]["selector"] == rendered.one("Deployment")["spec"]["selector"]
        assert budget["spec"]["maxUnavailable"] == 1
