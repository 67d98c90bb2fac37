"""A candidate with another image, through whole turns: two Deployments, one Service, and nothing of it left behind."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.answering import Answering
from support.control_plane import ControlPlane

from model_operator.cluster import ApiError
from model_operator.reconcile import Reconciler

from .conftest import DEPLOYMENTS, MODEL, NAMESPACE

KEY = (NAMESPACE, "churn")
OLD, NEW = {"repository": "modelport/service-sklearn", "tag": "1.7"}, {"repository": "modelport/service", "tag": "1.8"}
SECOND = {"model": MODEL | {"uri": "gs://shop/churn/2", "version": "2"}, "image": NEW}
ROLLOUT = {"steps": [{"weight": 50, "pauseSeconds": 0}], "analysis": {"minRequests": 0}}
HELD = {"steps": [{"weight": 10, "pauseSeconds": 3600}], "sticky": {"header": "X-User"}}
STABLE = {"app.kubernetes.io/instance": "churn"}
BOTH = {"modelport.dev/deployment": "churn"}
CANDIDATE = BOTH | {"modelport.dev/apart": "true"}


class Pod(Answering):
    """A port of any pod; it takes every document and counts nothing."""

    def respond(self, method: str, path: str, *_: object) -> tuple[int, object]:
        del method
        return 200, {"generation": 0} if path == "/admin/traffic" else {"models": []}


@pytest.fixture(autouse=True)
def pods() -> Iterator[None]:
    """What listens at the addresses of all pods."""
    with ExitStack() as stack:
        for place in [(f"127.77.0.{number}", port) for number in (1, 2) for port in (8000, 8081)]:
            stack.enter_context(Pod(place).running())
        yield


@pytest.fixture
def serving(start: Callable[[], Reconciler], apply: Any, pods_follow: Any) -> Reconciler:
    """An operator whose resource serves version 1."""
    operator = start()
    apply(image=OLD, rollout=HELD)
    for _ in range(3):
        operator.turn(KEY)
        pods_follow()
    return operator


@pytest.fixture
def stepping(serving: Reconciler, plane: ControlPlane, apply: Any, pods_follow: Any) -> Reconciler:
    """And version 2, of another image, has the first step's share."""
    apply(**SECOND, rollout=HELD)
    until(serving, plane, pods_follow, "Stepping")
    serving.turn(KEY)
    return serving


def status(plane: ControlPlane) -> dict[str, Any]:
    found: dict[str, Any] = plane.one("modeldeployments", "churn")["status"]
    return found


def separate(plane: ControlPlane) -> tuple[str, str, str]:
    (found,) = [each for each in status(plane)["conditions"] if each["type"] == "SeparateDeployments"]
    return found["status"], found["reason"], found["message"]


def service(plane: ControlPlane) -> dict[str, str]:
    found: dict[str, str] = plane.one("services", "churn")["spec"]["selector"]
    return found


def image(plane: ControlPlane, deployment: str) -> str:
    found: str = plane.one("deployments", deployment)["spec"]["template"]["spec"]["containers"][0]["image"]
    return found


def until(operator: Reconciler, plane: ControlPlane, pods_follow: Any, stage: str) -> None:
    for _ in range(10):
        operator.turn(KEY)
        pods_follow()
        if status(plane)["stage"] == stage:
            return
    pytest.fail(f"never {stage}: {status(plane)['stage']}")


def test_it_is_prepared_apart_and_nothing_else_changes(
    plane: ControlPlane, serving: Reconciler, apply: Any, pods_follow: Any
) -> None:
    before = plane.one("deployments", "churn")["spec"]
    apply(**SECOND, rollout=HELD)
    serving.turn(KEY)
    assert plane.one("deployments", "churn")["spec"] == before
    assert (image(plane, "churn"), image(plane, "churn-candidate")) == ("1.7", "1.8")
    own = plane.one("deployments", "churn-candidate")["spec"]
    assert own["selector"]["matchLabels"] == {"app.kubernetes.io/instance": "churn-candidate"}
    assert own["template"]["spec"]["serviceAccountName"] == "churn"
    assert plane.names("services") == {"churn"}
    assert service(plane) == STABLE
    message = "version 2 needs another image and runs in Deployment churn-candidate: 0 % of the traffic, by numbers of "
    assert separate(plane) == ("True", "ImagesDiffer", f"{message}pods; rollout.sticky has no effect")


def test_its_share_is_told_as_it_is(plane: ControlPlane, stepping: Reconciler) -> None:
    assert service(plane) == BOTH
    assert ": 50 % of the traffic, of 10 % asked for, by numbers of pods" in separate(plane)[2]
    assert (status(plane)["trafficSummary"], status(plane)["ready"]) == ("1:50 2:50", "2/2")
    assert status(plane)["replicas"] == 1
    assert [source["version"] for source in status(plane)["sources"]] == ["1", "2"]
    assert status(plane)["targetRevision"].startswith("2-")


def test_promoted_it_goes_and_the_first_deployment_has_its_image(
    plane: ControlPlane, stepping: Reconciler, apply: Any, pods_follow: Any
) -> None:
    apply(**SECOND, rollout=ROLLOUT)
    until(stepping, plane, lambda: None, "Promoted")
    assert (image(plane, "churn"), service(plane)) == ("1.8", CANDIDATE)
    assert separate(plane)[2].endswith("until every pod of Deployment churn has that image")
    for _ in range(2):
        pods_follow()
        stepping.turn(KEY)
    assert plane.names("deployments") == {"churn"}
    assert service(plane) == STABLE
    assert separate(plane) == ("False", "OneDeployment", "every version runs in the same pods")
    assert status(plane)["rollout"]["stable"] == "2"


def test_an_abort_takes_its_traffic_and_then_its_pods(plane: ControlPlane, stepping: Reconciler, apply: Any) -> None:
    before = plane.one("deployments", "churn")["spec"]
    apply({"modelport.dev/rollout": "abort"}, **SECOND, rollout=HELD)
    stepping.turn(KEY)
    assert service(plane) == STABLE
    assert plane.names("deployments") == {"churn"}
    assert plane.one("deployments", "churn")["spec"] == before
    assert status(plane)["trafficSummary"] == "1:100"


@pytest.mark.parametrize("trouble", ["values", "quota", "restart", "chart"])
def test_an_abort_takes_its_traffic_whatever_else_is_wrong(
    plane: ControlPlane, stepping: Reconciler, apply: Any, start: Any, chart: Any, helm: str, trouble: str
) -> None:
    operator = stepping
    more: dict[str, Any] = {"values": {"config": {"wrokers": 2}}} if trouble == "values" else {}
    if trouble == "quota":
        plane.refuse["PATCH", "/deployments/churn"] = (403, "exceeded quota")
    if trouble == "restart":
        operator = start()
    if trouble == "chart":
        (chart / "Chart.yaml").write_text("name: model-service\nversion: 3.0.0\n")
        operator = start()
    apply({"modelport.dev/rollout": "abort"}, **SECOND, rollout=HELD, **more)
    operator.turn(KEY)
    assert service(plane) == STABLE
    assert "churn-candidate" not in plane.names("deployments")


def test_a_turn_that_is_cut_off_goes_on(plane: ControlPlane, stepping: Reconciler, apply: Any) -> None:
    apply({"modelport.dev/rollout": "abort"}, **SECOND, rollout=HELD)
    plane.refuse["PATCH", "/services/churn"] = (500, "etcd is away")
    with pytest.raises(ApiError, match="etcd is away"):
        stepping.turn(KEY)
    assert status(plane)["rollout"]["stage"] == "Aborted"
    assert "churn-candidate" in plane.names("deployments")  # not before its traffic is taken
    plane.refuse.clear()
    stepping.turn(KEY)
    assert (service(plane), plane.names("deployments")) == (STABLE, {"churn"})


def test_an_autoscaler_leaves_enough_pods_to_go_back_to(
    plane: ControlPlane, start: Callable[[], Reconciler], apply: Any, pods_follow: Any
) -> None:
    operator = start()
    scaling = {"autoscaling": {"mode": "hpa", "minReplicas": 1, "maxReplicas": 5}}
    apply(image=OLD, rollout=HELD, **scaling)
    operator.turn(KEY)
    pods_follow()
    operator.turn(KEY)
    assert plane.one("horizontalpodautoscalers", "churn")["spec"]["minReplicas"] == 1
    there = plane.one("deployments", "churn")
    plane.put(f"{DEPLOYMENTS}/churn", there | {"spec": there["spec"] | {"replicas": 3}})
    apply(**SECOND, rollout=HELD, **scaling)
    operator.turn(KEY)
    assert plane.one("horizontalpodautoscalers", "churn")["spec"]["minReplicas"] == 3
    assert "replicas" in plane.one("deployments", "churn-candidate")["spec"]


def test_somebody_elses_deployment_of_that_name_is_left_alone(
    plane: ControlPlane, serving: Reconciler, apply: Any
) -> None:
    meta = {"name": "churn-candidate", "namespace": NAMESPACE}
    plane.put(f"{DEPLOYMENTS}/churn-candidate", {"metadata": meta, "spec": {"replicas": 7}})
    apply(**SECOND, rollout=HELD)
    serving.turn(KEY)
    (degraded,) = [each for each in status(plane)["conditions"] if each["type"] == "Degraded"]
    assert degraded["reason"] == "NameTaken"
    assert plane.one("deployments", "churn-candidate")["spec"] == {"replicas": 7}


def test_numbers_of_pods_follow_while_the_chart_is_outdated(
    plane: ControlPlane, stepping: Reconciler, start: Any, chart: Any, helm: str
) -> None:

    (chart / "Chart.yaml").write_text("name: model-service\nversion: 3.0.0\n")
    Path(helm).write_text(Path(helm).read_text().replace('"$@"', '"$@" | sed s/fetch:1/fetch:3/'))
    own = plane.one("deployments", "churn-candidate")
    plane.put(f"{DEPLOYMENTS}/churn-candidate", own | {"spec": own["spec"] | {"replicas": 9}})
    start().turn(KEY)
    assert plane.one("deployments", "churn-candidate")["spec"]["replicas"] == 1
    fetch = plane.one("deployments", "churn")["spec"]["template"]["spec"]["initContainers"][0]
    assert fetch["image"] == "fetch:1"
