"""From a resource to the chart's values, and to the objects that are applied."""

from typing import Any

import pytest

from model_operator.desired import (
    Held,
    NotOurs,
    admin_secret,
    apart_name,
    apart_values,
    belongs_to,
    chart_values,
    merged,
    owned,
    revision,
    traffic_map,
)

MODEL = {"uri": "gs://a/1", "name": "churn", "version": "1"}
NONE = {"mode": "none", "minReplicas": 1, "maxReplicas": 5}
RESOURCE: dict[str, Any] = {"metadata": {"name": "churn", "namespace": "models", "uid": "u-1"}, "spec": {}}


def values(models: list[Any] | None = None, source: str | None = None, **fields: Any) -> dict[str, Any]:
    spec = {"model": MODEL, "replicas": 3, "autoscaling": NONE} | fields
    held = Held(models or [MODEL], fields.get("image", {}), "f00", source)
    return chart_values("churn", spec, held)


def test_a_plain_resource() -> None:
    found = values()
    assert (found["fullnameOverride"], found["model"], found["replicaCount"]) == ("churn", MODEL, 3)
    assert found["autoscaling"] == {"enabled": False}
    assert found["trafficConfigMap"] == "churn-traffic"
    assert found["admin"] == {"enabled": True, "port": 8081, "existingSecret": "churn-admin", "key": "token"}
    assert found["podLabels"] == {"modelport.dev/deployment": "churn"}
    assert found["podAnnotations"] == {"modelport.dev/revision": revision(MODEL), "modelport.dev/rendered": "f00"}
    assert "versions" not in found


def test_stable_and_candidate_are_model_and_versions() -> None:
    candidate = MODEL | {"uri": "gs://a/2", "version": "2"}
    found = values([MODEL, candidate])
    assert (found["model"], found["versions"]) == (MODEL, [candidate])
    assert found["podAnnotations"]["modelport.dev/revision"] == revision(candidate)


@pytest.mark.parametrize(
    ("scaling", "expected"),
    [
        (
            {"mode": "hpa", "targetCPUUtilizationPercentage": 60},
            {"scaler": "hpa", "targetCPUUtilizationPercentage": 60},
        ),
        ({"mode": "keda", "targetInFlight": 8}, {"scaler": "keda", "keda": {"targetInFlight": 8}}),
    ],
)
def test_an_autoscaler_takes_replicas_over(scaling: Any, expected: Any) -> None:
    found = values(autoscaling=NONE | scaling)
    assert "replicaCount" not in found
    assert found["autoscaling"] == {"enabled": True, "minReplicas": 1, "maxReplicas": 5} | expected


def test_every_other_field_has_its_value() -> None:
    found = values(
        image={"repository": "a", "tag": "1"},
        resources={"limits": {"memory": "1Gi"}},
        access={"keys": {}},
        scheduling={"nodeSelector": {"pool": "cpu"}, "priorityClassName": "high"},
        tracing={"endpoint": "http://a:4318", "sampleRatio": "0.25"},
    )
    assert found["image"] == {"repository": "a", "tag": "1"}
    assert found["resources"] == {"limits": {"memory": "1Gi"}}
    assert found["access"] == {"keys": {}}
    assert (found["nodeSelector"], found["priorityClassName"]) == ({"pool": "cpu"}, "high")
    assert found["tracing"] == {"enabled": True, "endpoint": "http://a:4318", "sampleRatio": 0.25}
    assert values(tracing={"endpoint": "http://a:4318"})["tracing"] == {"enabled": True, "endpoint": "http://a:4318"}


def test_values_are_below_the_fields() -> None:
    found = values(values={"config": {"workers": 2}, "podLabels": {"team": "a"}, "model": {"subPath": "b"}})
    assert found["config"] == {"workers": 2}
    assert found["podLabels"] == {"team": "a", "modelport.dev/deployment": "churn"}
    assert found["model"] == MODEL | {"subPath": "b"}


def test_pods_are_marked_with_what_a_followed_source_holds() -> None:
    assert values(source="sha256:1")["podAnnotations"]["modelport.dev/source"] == "sha256:1"


def test_a_revision_changes_with_the_place_and_names_the_version() -> None:
    assert revision(MODEL).startswith("1-")
    assert revision({"uri": "gs://a"}).startswith("unversioned-")
    assert len({revision(MODEL), revision(MODEL | {"digest": "sha256:1"}), revision(MODEL | {"uri": "gs://b"})}) == 3


def test_merging_leaves_both_sides_as_they_were() -> None:
    below, above = {"a": {"b": 1, "c": [1]}, "d": 1}, {"a": {"c": [2]}}
    assert merged(below, above) == {"a": {"b": 1, "c": [2]}, "d": 1}
    assert below == {"a": {"b": 1, "c": [1]}, "d": 1}


def rendered(**changes: Any) -> dict[str, Any]:
    meta = {"name": "churn", "labels": {"app.kubernetes.io/managed-by": "Helm", "team": "a"}} | changes.pop("meta", {})
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {}} | changes


def test_objects_belong_to_their_resource() -> None:
    (found,) = owned([rendered()], RESOURCE)
    meta = found["metadata"]
    assert meta["namespace"] == "models"
    assert meta["labels"] == {
        "app.kubernetes.io/managed-by": "modelport-operator",
        "team": "a",
        "modelport.dev/deployment": "churn",
    }
    assert belongs_to(found, RESOURCE)
    assert not belongs_to(found, {"metadata": {"uid": "another"}})
    assert not belongs_to(rendered(), RESOURCE)


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        (rendered(kind="ClusterRole"), "v1 ClusterRole churn: the operator does not create this kind"),
        (rendered(apiVersion="v2"), "v2 Service churn: the operator does not create this kind"),
        (rendered(meta={"namespace": "kube-system"}), "it belongs to namespace kube-system, not models"),
    ],
)
def test_what_a_resource_does_not_make_is_refused(item: Any, sentence: str) -> None:
    with pytest.raises(NotOurs, match=sentence):
        owned([item], RESOURCE)


def test_traffic_and_token_are_not_pruned_and_go_with_the_resource() -> None:
    document = {"generation": 1, "models": {}}
    for item in (traffic_map(RESOURCE, document), traffic_map(RESOURCE, None), admin_secret(RESOURCE, "t")):
        assert belongs_to(item, RESOURCE)
        assert "modelport.dev/deployment" not in item["metadata"]["labels"]
    assert traffic_map(RESOURCE, None)["data"] == {}
    assert traffic_map(RESOURCE, document)["data"] == {"traffic.json": '{"generation": 1, "models": {}}'}


@pytest.mark.parametrize("name", ["churn", "c" * 42, "c" * 43, "c" * 52])
def test_a_second_deployment_has_a_name_that_the_chart_keeps(name: str) -> None:
    assert len(apart_name(name)) <= 52
    assert apart_name(name).endswith("-candidate")
    assert apart_name("c" * 51) != apart_name("c" * 52)


def test_a_second_deployment_differs_by_what_it_holds_and_by_who_it_is() -> None:
    spec = {
        "model": MODEL,
        "replicas": 3,
        "autoscaling": NONE | {"mode": "hpa"},
        "values": {"podLabels": {"team": "a"}},
    }
    held = Held([MODEL], {"tag": "1.8"}, "f00")
    first, second = chart_values("churn", spec, held), apart_values("churn", spec, held, 2, "robot")
    changed = {key for key in first.keys() | second.keys() if first.get(key) != second.get(key)}
    assert changed == {
        "fullnameOverride", "trafficConfigMap", "podLabels", "replicaCount", "autoscaling", "serviceAccount", "metrics",
    }  # fmt: skip
    assert second["podLabels"] == first["podLabels"] | {"modelport.dev/apart": "true"}
    assert (second["replicaCount"], second["autoscaling"]["enabled"]) == (2, False)
    assert second["serviceAccount"] == {"create": False, "name": "robot"}


def test_an_image_of_values_is_the_one_that_is_held() -> None:
    assert "image" not in values(values={"image": {"tag": "1.7"}})
