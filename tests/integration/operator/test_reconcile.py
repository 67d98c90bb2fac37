"""Turns against a control plane: what is made, told, pruned, left alone, and what a restart changes (nothing)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.control_plane import ControlPlane

from model_operator.cluster import ApiError
from model_operator.reconcile import Reconciler

from .conftest import DEPLOYMENTS, MODEL, NAMESPACE, PODS, RESOURCES

KEY = (NAMESPACE, "churn")
SECOND = MODEL | {"uri": "gs://shop/churn/2", "version": "2"}
HPA = {"mode": "hpa", "minReplicas": 1, "maxReplicas": 5}

Start = Callable[[], Reconciler]


def status(plane: ControlPlane) -> dict[str, Any]:
    found: dict[str, Any] = plane.one("modeldeployments", "churn")["status"]
    return found


def condition(plane: ControlPlane, kind: str) -> tuple[str, str, str]:
    (found,) = [each for each in status(plane)["conditions"] if each["type"] == kind]
    return found["status"], found["reason"], found["message"]


@pytest.fixture
def serving(start: Start, apply: Any, pods_follow: Any) -> Reconciler:
    """An operator whose one resource serves."""
    found = start()
    apply()
    found.turn(KEY)
    pods_follow()
    found.turn(KEY)
    return found


def test_a_resource_becomes_objects_and_then_serves(plane: ControlPlane, serving: Reconciler) -> None:
    assert plane.names("deployments") == plane.names("services") == {"churn"}
    assert plane.names("configmaps") == {"churn-traffic"}
    assert plane.one("secrets", "churn-admin")["stringData"].keys() == {"token"}
    found = status(plane)
    assert (found["version"], found["ready"], found["stage"]) == ("1", "1/1", "Serving")
    assert found["servingRevision"] == found["targetRevision"]
    assert found["selector"] == "app.kubernetes.io/instance=churn"
    assert condition(plane, "Available")[:2] == ("True", "Serving")
    assert condition(plane, "Degraded")[0] == "False"


def test_a_settled_resource_costs_reads_alone(plane: ControlPlane, serving: Reconciler) -> None:
    plane.calls.clear()
    again = serving.turn(KEY)
    assert {verb for verb, _ in plane.calls} == {"GET"}
    assert plane.called("GET") == 4
    assert again is not None
    assert again > 10


def test_a_restarted_operator_changes_nothing(plane: ControlPlane, serving: Reconciler, start: Start) -> None:
    before, generation = status(plane), plane.one("deployments", "churn")["metadata"]["generation"]
    start().turn(KEY)
    assert status(plane) == before
    assert plane.one("deployments", "churn")["metadata"]["generation"] == generation


def test_what_somebody_changes_is_put_back(plane: ControlPlane, serving: Reconciler) -> None:
    changed = plane.one("deployments", "churn")
    plane.put(f"{DEPLOYMENTS}/churn", changed | {"spec": changed["spec"] | {"replicas": 9}})
    serving.turn(KEY)
    assert plane.one("deployments", "churn")["spec"]["replicas"] == 1


def test_what_is_no_longer_rendered_is_pruned_and_foreign_objects_stay(
    plane: ControlPlane, serving: Reconciler, apply: Any
) -> None:
    foreign = {"name": "other", "namespace": NAMESPACE, "labels": {"modelport.dev/deployment": "churn"}}
    plane.put(f"/api/v1/namespaces/{NAMESPACE}/services/other", {"metadata": foreign})
    apply(values={"networkPolicy": {"enabled": True}})
    serving.turn(KEY)
    assert plane.names("networkpolicies") == {"churn"}
    apply()
    serving.turn(KEY)
    assert plane.names("networkpolicies") == set()
    assert plane.names("services") == {"churn", "other"}
    assert plane.names("configmaps") == {"churn-traffic"}


def test_values_that_the_chart_refuses_change_nothing_and_are_told(
    plane: ControlPlane, serving: Reconciler, apply: Any
) -> None:
    before = plane.one("deployments", "churn")
    apply(model=SECOND, values={"config": {"wrokers": 2}})
    serving.turn(KEY)
    verdict = condition(plane, "Degraded")
    assert verdict[:2] == ("True", "InvalidValues")
    assert "additional properties 'wrokers' not allowed; correct spec.values (revision 1-" in verdict[2]
    assert plane.one("deployments", "churn") == before
    apply(values={"drain": {"delaySeconds": -1}})
    serving.turn(KEY)
    assert "the chart refuses the values: drain: below 0; " in condition(plane, "Degraded")[2]


def test_a_failing_pod_is_told_and_told_once(
    plane: ControlPlane, serving: Reconciler, apply: Any, pods_follow: Any
) -> None:
    apply(model=SECOND)
    serving.turn(KEY)
    message = json.dumps({"reason": "NotFound", "uri": "", "identity": "", "message": "gs://shop/churn/2 is not there"})
    ended = {"terminated": {"exitCode": 11, "message": message}}
    pods_follow(initContainerStatuses=[{"name": "fetch", "state": ended}])
    again = [serving.turn(KEY) for _ in range(6)]
    assert condition(plane, "Fetched") == ("False", "NotFound", "gs://shop/churn/2 is not there")
    assert condition(plane, "Degraded")[2] == "gs://shop/churn/2 is not there (nothing serves)"
    told = [item for path, item in plane.objects.items() if "/events/" in path and item["reason"] == "NotFound"]
    assert {item["type"] for item in told} == {"Warning"}
    assert len(told) == 1
    assert again == sorted(again)
    assert again[-1] == 15


def test_replicas_are_handed_over_to_an_autoscaler(plane: ControlPlane, serving: Reconciler, apply: Any) -> None:
    there = plane.one("deployments", "churn")
    owned = [{"manager": "modelport-operator", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]
    plane.put(f"{DEPLOYMENTS}/churn", there | {"metadata": there["metadata"] | {"managedFields": owned}})
    apply(autoscaling=HPA)
    plane.calls.clear()
    serving.turn(KEY)
    assert plane.calls["PATCH", f"{DEPLOYMENTS}/churn"] == 2  # the handover, then the operator's own
    assert "replicas" not in plane.one("deployments", "churn")["spec"]
    assert plane.names("horizontalpodautoscalers") == {"churn"}


def test_an_object_of_somebody_else_is_left_alone(plane: ControlPlane, start: Start, apply: Any) -> None:
    taken = {"metadata": {"name": "churn", "namespace": NAMESPACE}, "spec": {"ports": []}}
    plane.put(f"/api/v1/namespaces/{NAMESPACE}/services/churn", taken)
    apply()
    start().turn(KEY)
    verdict = condition(plane, "Degraded")
    assert verdict[1] == "NameTaken"
    assert "Service churn is there and is not this ModelDeployment's; rename" in verdict[2]
    assert plane.one("services", "churn")["spec"] == {"ports": []}


def test_traffic_of_somebody_else_is_left_alone(plane: ControlPlane, start: Start, apply: Any) -> None:
    taken = {"metadata": {"name": "churn-traffic", "namespace": NAMESPACE}, "data": {}}
    plane.put(f"/api/v1/namespaces/{NAMESPACE}/configmaps/churn-traffic", taken)
    apply()
    start().turn(KEY)
    assert condition(plane, "Degraded")[1] == "NameTaken"
    assert plane.names("deployments") == set()


def test_what_the_cluster_lacks_is_unsupported(plane: ControlPlane, start: Start, apply: Any) -> None:
    apply(autoscaling=HPA | {"mode": "keda"})
    start().turn(KEY)
    assert condition(plane, "Unsupported")[:2] == ("True", "MissingAPI")
    assert "this cluster has no keda.sh/v1alpha1; install KEDA" in condition(plane, "Unsupported")[2]
    assert plane.names("deployments") == {"churn"}


def test_a_refusal_of_the_api_server_is_told(plane: ControlPlane, start: Start, apply: Any) -> None:
    plane.refuse["PATCH", "/services/churn"] = (403, "exceeded quota: services")
    apply()
    start().turn(KEY)
    assert condition(plane, "Degraded")[:2] == ("True", "ApplyRefused")
    assert "Service churn: exceeded quota: services" in condition(plane, "Degraded")[2]


def test_a_failing_api_server_fails_the_turn(plane: ControlPlane, start: Start, apply: Any) -> None:
    plane.refuse["PATCH", "/deployments/churn"] = (500, "etcd is away")
    apply()
    with pytest.raises(ApiError, match="etcd is away"):
        start().turn(KEY)


def test_events_are_for_people_only(plane: ControlPlane, start: Start, apply: Any) -> None:
    plane.refuse["POST", "/events"] = (403, "no events here")
    apply()
    assert start().turn(KEY) is not None


def test_a_resource_that_is_gone_is_forgotten(plane: ControlPlane, serving: Reconciler) -> None:
    del plane.objects[f"{RESOURCES}/churn"]
    assert serving.turn(KEY) is None


def test_a_new_chart_restarts_nothing_until_it_is_asked_for(
    plane: ControlPlane, serving: Reconciler, start: Start, apply: Any, chart: Path, helm: str
) -> None:
    before = plane.one("deployments", "churn")["spec"]
    (chart / "Chart.yaml").write_text("name: model-service\nversion: 2.0.0\n")
    same_pods = start()
    same_pods.turn(KEY)
    assert status(plane)["chart"]["version"] == "2.0.0"  # the pods would be the same
    (chart / "Chart.yaml").write_text("name: model-service\nversion: 3.0.0\n")
    text = Path(helm).read_text()
    Path(helm).write_text(text.replace('"$@"', '"$@" | sed s/fetch:1/fetch:3/'))
    other_pods = start()
    other_pods.turn(KEY)
    assert condition(plane, "ChartOutdated")[:2] == ("True", "PodsWouldRestart")
    assert "kubectl annotate md NAME modelport.dev/chart=3.0.0" in condition(plane, "ChartOutdated")[2]
    apply(replicas=4)
    other_pods.turn(KEY)
    assert plane.one("deployments", "churn")["spec"] == before | {"replicas": 4}
    apply(annotations={"modelport.dev/chart": "3.0.0"}, replicas=4)
    other_pods.turn(KEY)
    assert condition(plane, "ChartOutdated")[0] == "False"
    assert status(plane)["chart"]["version"] == "3.0.0"
    fetch = plane.one("deployments", "churn")["spec"]["template"]["spec"]["initContainers"][0]
    assert fetch["image"] == "fetch:3"


def test_a_change_of_spec_takes_the_new_chart(
    plane: ControlPlane, serving: Reconciler, start: Start, apply: Any, chart: Path, helm: str
) -> None:
    (chart / "Chart.yaml").write_text("name: model-service\nversion: 3.0.0\n")
    Path(helm).write_text(Path(helm).read_text().replace('"$@"', '"$@" | sed s/fetch:1/fetch:3/'))
    apply(model=SECOND)
    start().turn(KEY)
    assert status(plane)["chart"]["version"] == "3.0.0"
    assert condition(plane, "ChartOutdated")[0] == "False"


def test_a_mounted_model_is_rendered_as_it_is(plane: ControlPlane, start: Start, apply: Any) -> None:
    apply(model={"existingClaim": "models"})
    start().turn(KEY)
    assert status(plane)["sources"] == [{"existingClaim": "models"}]
    assert condition(plane, "Fetched")[0] == "Unknown"


def listing(*versions: tuple[str, str]) -> str:
    return "a line of progress\n" + json.dumps([{"version": name, "digest": digest} for name, digest in versions])


def look_at_source(plane: ControlPlane, operator: Reconciler, printed: str | None, apply: Any, **spec: Any) -> None:
    """One look: the pod is made, ends, and is read."""
    operator.turn(KEY)
    pod = plane.one("pods", "churn-source")
    ended = {"phase": "Succeeded" if printed is not None else "Failed"}
    plane.logs["churn-source"] = printed or ""
    plane.put(f"{PODS}/churn-source", pod | {"status": ended})
    operator.turn(KEY)
    assert "churn-source" not in plane.names("pods")


def test_a_followed_source_rolls_the_pods_when_it_has_changed(
    plane: ControlPlane, start: Start, apply: Any, pods_follow: Any
) -> None:
    spec = {"model": {"uri": "gs://shop/churn"}, "reloadPolicy": "OnChange", "reloadInterval": "1s"}
    operator = start()
    apply(**spec)
    operator.turn(KEY)
    pods_follow()
    look_at_source(plane, operator, listing(("1", "sha256:a")), apply)
    assert status(plane)["source"]["digest"] == "sha256:a"
    before = plane.one("deployments", "churn")
    past = "2020-01-01T00:00:00+00:00"
    plane.one("modeldeployments", "churn")["status"]["source"]["checkedAt"] = past
    look_at_source(plane, operator, listing(("1", "sha256:a"), ("2", "sha256:b")), apply)
    operator.turn(KEY)
    marks = plane.one("deployments", "churn")["spec"]["template"]["metadata"]["annotations"]
    assert marks["modelport.dev/source"] == "sha256:b"
    assert plane.one("deployments", "churn") != before
    plane.one("modeldeployments", "churn")["status"]["source"]["checkedAt"] = past
    look_at_source(plane, operator, None, apply)
    assert condition(plane, "Degraded")[1] == "SourceUnknown"
    assert status(plane)["source"]["mark"] == "sha256:b"


def test_the_pod_that_looks_is_the_init_container_with_other_arguments(
    plane: ControlPlane, start: Start, apply: Any, pods_follow: Any
) -> None:
    operator = start()
    apply(model={"uri": "gs://shop/churn"}, reloadPolicy="OnChange")
    operator.turn(KEY)
    pods_follow()
    operator.turn(KEY)
    spec = plane.one("pods", "churn-source")["spec"]
    (container,) = spec["containers"]
    assert container["args"] == ["versions", "gs://shop/churn", "--json"]
    assert [mount["name"] for mount in container["volumeMounts"]] == ["tmp"]
    assert [volume["name"] for volume in spec["volumes"]] == ["tmp"]
    assert (spec["restartPolicy"], spec["serviceAccountName"]) == ("Never", "churn")


def test_where_pods_do_not_say_what_they_serve_the_pin_does(
    plane: ControlPlane, start: Start, apply: Any, pods_follow: Any
) -> None:
    operator = start()
    apply(model=MODEL | {"digest": "sha256:a"})
    operator.turn(KEY)
    assert "digest" not in status(plane)
    pods_follow()
    operator.turn(KEY)
    assert status(plane)["digest"] == "sha256:a"
