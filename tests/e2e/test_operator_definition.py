"""The custom resource definition on a real API server: what its rules refuse, with which sentence, and scaling."""

import json
import subprocess
from copy import deepcopy
from typing import Any

import pytest
from support.cluster import Namespace, run
from support.operator import install_definition, resource

PINNED = {"uri": "gs://models/churn/3", "name": "churn", "version": "3"}
STEPS = {"steps": [{"weight": 10}, {"weight": 50}]}
DIGEST = "sha256:" + "0" * 64

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no place": ({"model": {}}, "give exactly one of uri, existingClaim, image and baked"),
    "two places": ({"model": {"uri": "gs://a/b", "existingClaim": "c"}}, "give exactly one of uri"),
    "two pins": ({"model": {"uri": "gs://a", "digest": DIGEST, "sha256": "0" * 64}}, "not both"),
    "a pin that is none": ({"model": {"uri": "gs://a", "digest": "sha256:12"}}, "spec.model.digest"),
    "an unknown field": ({"model": {"uri": "gs://a"}, "replica": 2}, 'unknown field "spec.replica"'),
    "two owners of replicas": (
        {"model": {"uri": "gs://a"}, "replicas": 3, "autoscaling": {"mode": "hpa"}},
        "the autoscaler owns the number of pods",
    ),
    "hpa to zero": ({"model": {"uri": "gs://a"}, "autoscaling": {"mode": "hpa", "minReplicas": 0}}, "keeps one pod"),
    "more than most": (
        {"model": {"uri": "gs://a"}, "autoscaling": {"mode": "keda", "minReplicas": 9}},
        "minReplicas is more than maxReplicas",
    ),
    "cpu with keda": (
        {"model": {"uri": "gs://a"}, "autoscaling": {"mode": "keda", "targetCPUUtilizationPercentage": 50}},
        "only mode hpa scales on CPU",
    ),
    "in flight with hpa": (
        {"model": {"uri": "gs://a"}, "autoscaling": {"mode": "hpa", "targetInFlight": 5}},
        "only mode keda scales on requests in flight",
    ),
    "a rollout without version": ({"model": {"uri": "gs://a"}, "rollout": STEPS}, "give model.uri, model.name and"),
    "falling steps": (
        {"model": PINNED, "rollout": {"steps": [{"weight": 50}, {"weight": 10}]}},
        "weights must not fall from step to step",
    ),
    "no steps": ({"model": PINNED, "rollout": {"steps": []}}, "spec.rollout.steps"),
    "a shadow of nothing": ({"model": PINNED, "shadow": {}}, "what is shadowed is the candidate of a rollout"),
    "a pin that follows": (
        {"model": {"uri": "gs://a", "digest": DIGEST}, "reloadPolicy": "OnChange"},
        "a pinned model cannot change",
    ),
    "a claim that follows": ({"model": {"existingClaim": "a"}, "reloadPolicy": "OnChange"}, "which is missing"),
    "steps that are skipped": (
        {"model": PINNED, "rollout": STEPS, "reloadPolicy": "OnChange"},
        "skips the steps of rollout",
    ),
    "a rollout that cannot be watched": (
        {"model": PINNED, "rollout": STEPS, "values": {"config": {"tls_cert_file": "/tls/tls.crt"}}},
        "name its authorities in tls.caBundle",
    ),
    "authorities for no certificate": (
        {"model": {"uri": "gs://a"}, "tls": {"caBundle": {"configMap": "authorities"}}},
        "the pods have no certificate",
    ),
    "tag and digest": (
        {"model": {"uri": "gs://a"}, "image": {"repository": "a", "tag": "1", "digest": DIGEST}},
        "give a tag or a digest",
    ),
    "values of the operator": ({"model": {"uri": "gs://a"}, "values": {"traffic": {}}}, "belong to the operator"),
    "values of fields": ({"model": {"uri": "gs://a"}, "values": {"replicaCount": 2}}, "are spec.replicas and"),
    "another name": ({"model": {"uri": "gs://a"}, "values": {"fullnameOverride": "a"}}, "named like the"),
    "foreign objects": ({"model": {"uri": "gs://a"}, "values": {"extraObjects": []}}, "apply other objects yourself"),
}


@pytest.fixture(scope="module", autouse=True)
def _definition() -> None:
    install_definition()


def create(namespace: Namespace, name: str, spec: Any, *flags: str) -> subprocess.CompletedProcess[str]:
    command = ["kubectl", "--namespace", namespace.name, "create", "--filename=-", "--output=json", *flags]
    text = json.dumps(resource(name, spec))
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("spec", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_honoured_is_refused(namespace: Namespace, spec: Any, sentence: str) -> None:
    result = create(namespace, "refused", spec, "--dry-run=server")
    assert result.returncode != 0
    assert sentence in result.stderr


@pytest.mark.parametrize("name", ["3churn", "churn.prod", "c" * 53])
def test_a_name_that_no_service_can_have_is_refused(namespace: Namespace, name: str) -> None:
    result = create(namespace, name, {"model": {"uri": "gs://a"}}, "--dry-run=server")
    assert "it names a Service" in result.stderr


def test_defaults_are_those_of_the_documentation(namespace: Namespace) -> None:
    result = create(namespace, "plain", {"model": {"uri": "gs://a"}, "rollout": None}, "--dry-run=server")
    spec = json.loads(result.stdout)["spec"]
    assert spec["replicas"] == 1
    assert spec["autoscaling"] == {"mode": "none", "minReplicas": 1, "maxReplicas": 5}
    assert (spec["reloadPolicy"], spec["reloadInterval"]) == ("Never", "5m")


def test_a_full_spec_is_taken_as_it_is(namespace: Namespace) -> None:
    spec = {
        "model": PINNED | {"digest": DIGEST},
        "image": {"repository": "modelport/service", "tag": "1"},
        "resources": {"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
        "scheduling": {"nodeSelector": {"pool": "cpu"}, "tolerations": [{"key": "a", "operator": "Exists"}]},
        "autoscaling": {"mode": "keda", "minReplicas": 0, "maxReplicas": 3, "targetInFlight": 8},
        "rollout": STEPS | {"sticky": {"header": "X-User-Id"}, "analysis": {"maxErrorRate": None, "maxP95Ratio": 1.5}},
        "shadow": {"percent": 50, "maxDisagreement": 0.1},
        "tracing": {"endpoint": "http://collector:4318", "sampleRatio": "0.1"},
        "values": {"config": {"workers": 2}, "drain": {"delaySeconds": 5}},
    }
    result = create(namespace, "full", spec, "--dry-run=server")
    assert result.returncode == 0, result.stderr
    taken = json.loads(result.stdout)["spec"]
    assert taken["values"] == spec["values"]
    assert taken["rollout"]["analysis"]["maxErrorRate"] is None


def test_image_and_model_change_together_in_a_rollout_without_a_shadow(namespace: Namespace) -> None:
    spec = {"model": PINNED, "rollout": STEPS, "shadow": {}, "image": {"repository": "modelport/service", "tag": "1"}}
    assert create(namespace, "both", spec).returncode == 0
    changed = deepcopy(spec)
    changed |= {"image": {"repository": "modelport/service", "tag": "2"}, "model": PINNED | {"version": "4"}}
    command = ["kubectl", "-n", namespace.name, "patch", "md", "both", "--type=merge", "--patch"]
    shadowed = subprocess.run([*command, json.dumps({"spec": changed})], capture_output=True, text=True, check=False)
    assert "requests are copied inside a pod, which has one image" in shadowed.stderr
    run(*command, json.dumps({"spec": changed | {"shadow": None}}))
    namespace.kubectl("delete", "md", "both")


def test_scale_is_complete(namespace: Namespace) -> None:
    assert create(namespace, "scaled", {"model": {"uri": "gs://a"}}).returncode == 0
    namespace.kubectl("scale", "md/scaled", "--replicas=7")
    assert namespace.get("md", "scaled")["spec"]["replicas"] == 7
    status = {"status": {"replicas": 7, "selector": "app.kubernetes.io/instance=scaled"}}
    namespace.kubectl("patch", "md", "scaled", "--subresource=status", "--type=merge", "-p", json.dumps(status))
    path = f"/apis/modelport.dev/v1alpha1/namespaces/{namespace.name}/modeldeployments/scaled/scale"
    scale = json.loads(run("kubectl", "get", "--raw", path))
    assert scale["status"] == {"replicas": 7, "selector": "app.kubernetes.io/instance=scaled"}
    namespace.kubectl("delete", "md", "scaled")


def test_an_autoscaled_one_is_not_scaled_by_hand(namespace: Namespace) -> None:
    assert create(namespace, "auto", {"model": {"uri": "gs://a"}, "autoscaling": {"mode": "hpa"}}).returncode == 0
    command = ["kubectl", "-n", namespace.name, "scale", "md/auto", "--replicas=7"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "the autoscaler owns the number of pods" in result.stderr
    namespace.kubectl("delete", "md", "auto")
