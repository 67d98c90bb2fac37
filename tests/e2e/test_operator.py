"""The operator on a cluster: from a resource to predictions, one owner of replicas, failures that are told, safety."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.cluster import Bucket, Namespace, run, wait_for
from support.load import Load
from support.operator import LEASE_SECONDS, Models, Operator

from modelport import Client


@pytest.fixture(scope="module")
def operator(namespace: Namespace) -> Iterator[Operator]:
    """The operator, looking after the namespace of the tests."""
    found = Operator(namespace)
    found.install()
    yield found
    namespace.kubectl("delete", "modeldeployments", "--all", "--wait")
    found.uninstall()


@pytest.fixture
def models(namespace: Namespace, operator: Operator) -> Models:
    return Models(namespace)


def uids(pods: list[Any]) -> set[str]:
    return {pod["metadata"]["uid"] for pod in pods}


@pytest.mark.smoke
def test_from_a_resource_to_right_predictions(
    models: Models, bundles: Any, spec: Any, namespace: Namespace, data: Any, estimator: Any
) -> None:
    started = time.monotonic()
    models.apply("first", spec(bundles["1"]))
    wait_for(lambda: "first" in namespace.kubectl("get", "service", "--output=name"), "the Service", 30)
    with Client(namespace.url("first")) as client:
        client.wait_until_ready(timeout=90)
        client.predict(data.data.iloc[0].to_dict())
        print(f"\nfigure: ModelDeployment created to first prediction {time.monotonic() - started:.1f} s")
        batch = client.predict_batch(data.data.iloc[:100])
    assert [answer.prediction for answer in batch.predictions] == estimator.predict(data.data.iloc[:100]).tolist()
    models.wait("first")
    status = models.status("first")
    assert (status["version"], status["digest"], status["ready"]) == ("1", bundles["1"]["digest"], "1/1")
    assert status["servingRevision"] == status["targetRevision"]
    told = {each["type"]: each["status"] for each in status["conditions"]}
    wanted = {"Fetched": "True", "Loaded": "True", "Available": "True"}
    assert told.items() >= (wanted | dict.fromkeys(("Progressing", "Degraded", "Unsupported"), "False")).items()
    line = namespace.kubectl("get", "md", "first").splitlines()
    assert line[0].split() == ["NAME", "VERSION", "STAGE", "TRAFFIC", "READY", "URI", "AGE"]
    assert line[1].split()[1:4] == ["1", "Serving", "1/1"]


def test_a_missing_model_is_told_and_the_old_one_serves_on(
    models: Models, bundles: Any, spec: Any, namespace: Namespace, row: Any
) -> None:
    models.apply("moved", spec(bundles["1"]))
    models.wait("moved")
    with Client(namespace.url("moved")) as client:  # the node's port follows the pod's readiness a little later
        client.wait_until_ready(timeout=30)
    load = Load(f"{namespace.url('moved')}/predict", row)
    with load.running():
        models.apply("moved", spec(bundles["2"] | {"uri": f"{bundles['2']['uri']}-nowhere"}))
        told = wait_for(lambda: models.condition("moved", "Fetched")[1] == "NotFound", "the condition Fetched", 60)
        status, reason, message = models.condition("moved", "Degraded")
        assert (status, reason) == ("True", "NotFound")
        assert "-nowhere" in message
        assert f"revision {models.status('moved')['servingRevision']} serves" in message
        assert models.status("moved")["servingRevision"].startswith("1-")
        assert models.status("moved")["targetRevision"].startswith("2-")
        models.apply("moved", spec(bundles["2"]))
        healed = models.wait("moved")
    print(f"\nfigure: missing model: condition after {told:.0f} s, healed {healed:.0f} s after the correction")
    assert load.failures == {}
    events = namespace.kubectl("get", "events", "--field-selector", "involvedObject.name=moved,type=Warning")
    assert "NotFound" in events
    models.delete("moved")


def test_a_corrupt_model_is_told(
    models: Models, bundles: Any, spec: Any, bucket: Bucket, packed: Callable[[str], Any]
) -> None:
    bundle = packed("2")
    uri = bucket.upload(bundle.path, "operated-corrupt/2")
    original = Path(bundle.path, "model.onnx").read_bytes()
    bucket.put("operated-corrupt/2/model.onnx", original[:-1] + bytes([original[-1] ^ 1]))
    models.apply("corrupt", spec(bundles["2"] | {"uri": uri}))
    told = wait_for(lambda: models.condition("corrupt", "Fetched")[1] == "ChecksumMismatch", "the condition", 60)
    print(f"\nfigure: corrupt model: condition after {told:.0f} s")
    assert models.condition("corrupt", "Available")[:2] == ("False", "NoReadyPod")
    models.delete("corrupt")


def test_values_that_the_chart_refuses_harm_nobody_else(
    models: Models, bundles: Any, spec: Any, namespace: Namespace
) -> None:
    models.apply("good", spec(bundles["1"]))
    models.wait("good")
    before = uids(models.pods("good"))
    models.apply("good", spec(bundles["2"], values={"config": {"wrokers": 2}}))
    wait_for(lambda: models.condition("good", "Degraded")[1] == "InvalidValues", "the condition Degraded", 30)
    assert "wrokers" in models.condition("good", "Degraded")[2]
    assert uids(models.pods("good")) == before
    models.apply("other", spec(bundles["1"]))
    models.wait("other")
    models.apply("good", spec(bundles["1"]))
    wait_for(lambda: models.condition("good", "Degraded")[0] == "False", "the end of Degraded", 30)
    assert uids(models.pods("good")) == before
    models.delete("other")


def test_scaling_by_hand(models: Models, bundles: Any, spec: Any, namespace: Namespace) -> None:
    models.apply("good", spec(bundles["1"], replicas=1))
    models.wait("good")
    namespace.kubectl("scale", "md/good", "--replicas=3")
    wait_for(lambda: models.status("good").get("ready") == "3/3", "three pods")
    namespace.kubectl("annotate", "md/good", "team=growth")
    namespace.kubectl("scale", "deployment/good", "--replicas=1")
    back = wait_for(lambda: namespace.get("deployment", "good")["spec"]["replicas"] == 3, "three replicas again", 30)
    wait_for(lambda: models.status("good").get("ready") == "3/3", "three pods again")
    print(f"\nfigure: replicas of a Deployment changed by hand are back after {back:.1f} s")
    scale = run(
        "kubectl",
        "get",
        "--raw",
        f"/apis/modelport.dev/v1alpha1/namespaces/{namespace.name}/modeldeployments/good/scale",
    )
    assert json.loads(scale)["status"]["replicas"] == 3


def test_an_autoscaler_of_the_resource_writes_its_replicas(
    models: Models, bundles: Any, spec: Any, namespace: Namespace
) -> None:
    models.apply("good", spec(bundles["1"], replicas=1))
    models.wait("good")
    target = {"apiVersion": "modelport.dev/v1alpha1", "kind": "ModelDeployment", "name": "good"}
    scaler = {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 2}
    kind, meta = "HorizontalPodAutoscaler", {"name": "of-the-resource"}
    namespace.apply({"apiVersion": "autoscaling/v2", "kind": kind, "metadata": meta, "spec": scaler})
    wait_for(lambda: models.status("good").get("ready") == "2/2", "two pods", 60)
    assert models.get("good")["spec"]["replicas"] == 2
    namespace.kubectl("delete", "hpa", "of-the-resource")


def test_an_autoscaler_alone_owns_replicas(models: Models, bundles: Any, spec: Any, namespace: Namespace) -> None:
    wanted = spec(bundles["1"], autoscaling={"mode": "hpa", "minReplicas": 1, "maxReplicas": 9}, replicas=1)
    wanted["autoscaling"]["targetCPUUtilizationPercentage"] = 80
    seen = []

    def handed_over() -> bool:
        seen.append(namespace.get("deployment", "good")["spec"]["replicas"])
        return "good" in namespace.kubectl("get", "hpa", "--output=name")

    models.apply("good", spec(bundles["1"], replicas=3))
    models.wait("good")
    models.apply("good", wanted)
    wait_for(handed_over, "the HorizontalPodAutoscaler", 30)
    assert set(seen) == {3}
    namespace.kubectl("delete", "hpa", "good")  # so that nobody but this test sets the number
    namespace.kubectl("scale", "deployment/good", "--replicas=7")
    for turn in range(3):
        namespace.kubectl("annotate", "md/good", f"turn={turn}", "--overwrite")
        time.sleep(2)
        assert namespace.get("deployment", "good")["spec"]["replicas"] == 7


def test_what_is_no_longer_rendered_goes(models: Models, bundles: Any, spec: Any, namespace: Namespace) -> None:
    extra = {"metrics": {"dashboard": {"enabled": True}}, "networkPolicy": {"enabled": True}}
    models.apply("good", spec(bundles["1"], replicas=2, values=extra))

    def there() -> str:
        return namespace.kubectl("get", "networkpolicy,configmap,pdb,hpa", "--output=name")

    wait_for(lambda: "networkpolicy" in there() and "good-dashboard" in there(), "the new objects", 30)
    assert "horizontalpodautoscaler" not in there()
    namespace.kubectl("create", "configmap", "bystander", "--from-literal=a=b")
    models.apply("good", spec(bundles["1"]))
    wait_for(lambda: "networkpolicy" not in there() and "good-dashboard" not in there(), "pruning", 30)
    assert {"configmap/bystander", "configmap/good", "configmap/good-traffic"} <= set(there().split())
    models.wait("good")


def test_an_object_of_somebody_else_is_left_alone(
    models: Models, bundles: Any, spec: Any, namespace: Namespace
) -> None:
    namespace.kubectl("create", "service", "clusterip", "taken", "--tcp=80:80")
    models.apply("taken", spec(bundles["1"]))
    wait_for(lambda: models.condition("taken", "Degraded")[1] == "NameTaken", "the condition Degraded", 30)
    assert "Service taken is there and is not this ModelDeployment's" in models.condition("taken", "Degraded")[2]
    assert "ownerReferences" not in namespace.get("service", "taken")["metadata"]
    namespace.kubectl("delete", "service", "taken")
    models.wait("taken")
    models.delete("taken")


def test_what_the_cluster_lacks_is_unsupported(models: Models, bundles: Any, spec: Any) -> None:
    models.apply("lacking", spec(bundles["1"], values={"httpRoute": {"enabled": True, "parentRefs": [{"name": "g"}]}}))
    wait_for(lambda: models.condition("lacking", "Unsupported")[0] == "True", "the condition Unsupported", 30)
    assert "install the Gateway API" in models.condition("lacking", "Unsupported")[2]
    wait_for(lambda: models.condition("lacking", "Available")[0] == "True", "the rest to serve")
    models.delete("lacking")


def test_an_unpinned_model_is_followed(
    models: Models, spec: Any, bucket: Bucket, packed: Callable[[str], Any], operator: Operator
) -> None:
    first, second = packed("1"), packed("2")
    bucket.upload(first.path, "followed/1")
    model = {"uri": f"{bucket.uri}/followed"}
    models.apply("followed", spec(model, reloadPolicy="OnChange", reloadInterval="5s"))
    models.wait("followed")
    wait_for(lambda: models.status("followed").get("source", {}).get("digest") == first.digest, "the first look", 60)
    before = uids(models.pods("followed"))
    time.sleep(8)
    assert uids(models.pods("followed")) == before
    bucket.upload(second.path, "followed/2")
    changed = wait_for(lambda: models.status("followed").get("digest") == second.digest, "the new model", 120)
    print(f"\nfigure: reloadPolicy OnChange at 5 s: a new version serves {changed:.0f} s after its upload")
    assert models.status("followed")["version"] == "2"
    models.delete("followed")


def test_a_killed_operator_goes_on_and_a_deleted_one_leaves_everything_serving(
    models: Models, bundles: Any, spec: Any, namespace: Namespace, operator: Operator, row: Any
) -> None:
    models.apply("good", spec(bundles["1"], replicas=1))
    models.wait("good")
    with Client(namespace.url("good")) as client:
        client.wait_until_ready(timeout=30)
    load = Load(f"{namespace.url('good')}/predict", row)
    before, status = uids(models.pods("good")), models.status("good")
    with load.running():
        operator.kill()
        namespace.kubectl("delete", "configmap", "good-traffic")
        mended = wait_for(lambda: "good-traffic" in namespace.kubectl("get", "cm", "--output=name"), "the next one", 60)
        models.wait("good")
        assert models.status("good") == status
        operator.uninstall()
        time.sleep(5)
        assert uids(models.pods("good")) == before
        operator.install()
        namespace.kubectl("annotate", "md/good", "again=1")
        time.sleep(5)
        assert uids(models.pods("good")) == before
    print(f"\nfigure: a lost operator's work goes on after {mended:.0f} s, with a Lease of {LEASE_SECONDS} s")
    assert load.failures == {}


def test_of_two_operators_one_acts(operator: Operator, namespace: Namespace, models: Models) -> None:
    operator.install(replicas=2)

    def log() -> str:
        return namespace.kubectl("logs", "--selector=app.kubernetes.io/name=model-operator", "--tail=-1")

    # An uninstalled operator loses its rights before it can let go of the Lease, which then has to run out.
    wait_for(lambda: "leading, with chart" in log(), "one of them to lead", 30)
    assert log().count("waiting for lease") == 2
    assert log().count("leading, with chart") == 1
    leader = operator.leader()
    namespace.kubectl("delete", "pod", leader)
    moved = wait_for(lambda: operator.leader() not in {"", leader}, "the other one", 30)
    print(f"\nfigure: the other operator leads {moved:.1f} s after the first was deleted")
    operator.install()


def test_deleting_the_resource_takes_everything_with_it(models: Models, namespace: Namespace) -> None:
    models.delete("good")
    kinds = "deployment,service,configmap,secret,serviceaccount,hpa,pdb"
    selector = "app.kubernetes.io/instance=good"
    wait_for(lambda: not namespace.get(kinds, "--selector", selector)["items"], "everything to go", 60)
