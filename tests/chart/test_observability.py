"""What Prometheus, its alerts and Grafana get: the right targets, and expressions over series that exist."""

import json
from collections.abc import Iterator
from typing import Any

import promql_parser as promql
import pytest
from support.chart import REPO, URI, Render, given, merged, render

from model_service.telemetry.metrics import METRICS, Metric
from model_service.telemetry.totals import INFO, WORKERS

OWN = {"namespace": "models", "app_kubernetes_io_name": "model-service", "app_kubernetes_io_instance": "first"}
ALERTS = {
    "ModelportDown", "ModelportHighErrorRate", "ModelportHighLatency", "ModelportOverloaded", "ModelportScoreShift",
    "ModelportWorkersMissing",
    "ModelportLimitsNotShared", "ModelportModelNotReady", "ModelportRolloutStuck",
}  # fmt: skip
FOREIGN = "kube_deployment_status_condition"  # of kube-state-metrics
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}


def series(metric: Metric) -> Iterator[tuple[str, set[str]]]:
    """Name and labels of each series of a metric."""
    for suffix in SUFFIXES[metric.kind]:
        yield metric.name + suffix, {*metric.labels, *(("le",) if suffix == "_bucket" else ())}


KNOWN = {name: labels for metric in (*METRICS, INFO, WORKERS) for name, labels in series(metric)}


def rules(rendered: Render) -> dict[str, Any]:
    (group,) = rendered.one("PrometheusRule")["spec"]["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def panels(rendered: Render) -> Any:
    (config,) = [item for item in rendered.kind("ConfigMap") if item["metadata"]["name"].endswith("-dashboard")]
    (text,) = config["data"].values()
    return json.loads(text)["panels"]


def nodes(node: Any) -> Iterator[Any]:
    """Each part of a parsed expression."""
    yield node
    below = [getattr(node, name, None) for name in ("lhs", "rhs", "expr", "vector_selector")]
    for child in [*below, *getattr(node, "args", ())]:
        if child is not None:
            yield from nodes(child)


def expressions() -> list[str]:
    """Every expression that the chart writes."""
    rendered = render(given("monitoring"))
    alerts = [rule["expr"] for name, rule in rules(rendered).items() if name in ALERTS]
    panel = [target["expr"] for panel in panels(rendered) for target in panel["targets"]]
    scaler = render(given("keda-prometheus")).one("ScaledObject")["spec"]["triggers"][0]["metadata"]["query"]
    return [*alerts, *panel, scaler]


@pytest.mark.parametrize("expression", expressions())
def test_expressions_ask_for_series_that_the_service_has_and_for_this_release_alone(expression: str) -> None:
    tree = promql.parse(expression.replace("$__rate_interval", "5m"))
    selectors = [node for node in nodes(tree) if isinstance(node, promql.VectorSelector)]
    assert selectors
    for selector in selectors:
        matchers = {matcher.name: matcher.value for matcher in selector.matchers.matchers}
        if selector.name == FOREIGN:
            assert (matchers["namespace"], matchers["deployment"]) == ("models", "first-model-service")
            continue
        assert matchers.items() >= OWN.items()
        assert matchers.keys() - OWN.keys() <= KNOWN[selector.name]
    labels = {name for selector in selectors for name in KNOWN.get(selector.name, ())}
    for node in nodes(tree):
        modifier = getattr(node, "modifier", None)
        if isinstance(node, promql.AggregateExpr) and modifier is not None:
            assert set(modifier.labels) <= labels | {"pod"}


def test_the_dashboard_shows_every_histogram() -> None:
    shown = " ".join(target["expr"] for panel in panels(render(given("monitoring"))) for target in panel["targets"])
    histograms = {metric.name for metric in METRICS if metric.kind == "histogram"}
    assert {name for name in histograms if name not in shown} == set()


def test_each_alert_links_to_its_section_of_the_runbook() -> None:
    found = rules(render(given("monitoring")))
    assert found.keys() == ALERTS | {"Quiet"}
    for name in ALERTS:
        rule = found[name]
        assert rule["annotations"]["runbook_url"] == f"https://wiki.example.com/runbook#{name.lower()}"
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["labels"]["team"] == "growth"
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["for"]


def test_the_runbook_has_a_section_for_each_alert() -> None:
    page = (REPO / "docs" / "runbook.md").read_text()
    assert {line.removeprefix("## ") for line in page.splitlines() if line.startswith("## Modelport")} == ALERTS


def test_thresholds_are_those_of_the_values() -> None:
    found = rules(render(given("monitoring")))
    assert found["ModelportHighErrorRate"]["expr"].endswith("> 0.02")
    assert "2 %" in found["ModelportHighErrorRate"]["annotations"]["summary"]
    assert found["ModelportOverloaded"]["expr"].endswith("> 0.1")
    assert found["ModelportHighLatency"]["expr"].endswith("> 0.25")


def test_no_pods_are_no_alarm_where_none_are_wanted() -> None:
    values = merged(given("keda-to-zero"), {"metrics": {"rules": {"enabled": True}}})
    assert "ModelportDown" not in rules(render(values))


def test_both_monitors_scrape_the_service_and_name_the_release() -> None:
    for name, kind, endpoints, labels in (
        ("monitoring", "ServiceMonitor", "endpoints", "targetLabels"),
        ("pod-monitor", "PodMonitor", "podMetricsEndpoints", "podTargetLabels"),
    ):
        rendered = render(given(name))
        spec = rendered.one(kind)["spec"]
        assert spec["selector"] == rendered.one("Deployment")["spec"]["selector"]
        (endpoint,) = spec[endpoints]
        assert (endpoint["port"], endpoint["path"]) == ("http", "/metrics")
        made = {label.translate(str.maketrans("./", "__")) for label in spec[labels]}
        assert made == OWN.keys() - {"namespace"}


def test_what_prometheus_selects_bears_its_labels_and_interval() -> None:
    rendered = render(given("monitoring"))
    monitor = rendered.one("ServiceMonitor")
    assert monitor["spec"]["endpoints"][0]["interval"] == "15s"
    for item in (monitor, rendered.one("PrometheusRule")):
        assert item["metadata"]["labels"]["release"] == "prometheus"


def test_pods_can_be_annotated_for_a_prometheus_without_operator() -> None:
    annotations = render(given("monitoring")).one("Deployment")["spec"]["template"]["metadata"]["annotations"]
    assert {name: annotations[f"prometheus.io/{name}"] for name in ("scrape", "port", "path", "scheme")} == {
        "scrape": "true",
        "port": "8000",
        "path": "/metrics",
        "scheme": "http",
    }


def test_the_dashboard_is_found_and_its_panels_do_not_overlap() -> None:
    rendered = render(given("monitoring"))
    config = next(item for item in rendered.kind("ConfigMap") if item["metadata"]["name"].endswith("-dashboard"))
    assert config["metadata"]["labels"]["dashboards"] == "yes"
    assert config["metadata"]["annotations"] == {"grafana_folder": "Models"}
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels(rendered)]
    assert len(set(places)) == len(places) >= 8
    assert len({panel["id"] for panel in panels(rendered)}) == len(places)


def test_nothing_of_this_is_made_by_default() -> None:
    rendered = render(URI)
    assert not {"ServiceMonitor", "PodMonitor", "PrometheusRule"} & {item["kind"] for item in rendered.objects}
    assert len(rendered.kind("ConfigMap")) == 1
