"""Which values are refused, and with which sentence."""

from typing import Any

import pytest
from support.chart import URI, refusal

DIGEST = f"sha256:{'a' * 64}"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "model.uri: missing"),
        ({"model": {"uri": "gs://b/m", "digest": DIGEST, "sha256": "a" * 64}}, "give digest for a bundle or sha256"),
        (URI | {"config": {"require_pinned": True}}, "the model is not pinned"),
        (URI | {"tracing": {"enabled": True}}, "tracing.endpoint: missing"),
        (URI | {"image": {"tag": "1", "digest": DIGEST}}, "image: give a tag or a digest, not both"),
        (URI | {"initContainer": {"image": {"tag": "1", "digest": DIGEST}}}, "initContainer.image: give a tag or"),
        (URI | {"image": {"repository": "host:5000/service:1.2"}}, "put it into image.tag or image.digest"),
        (URI | {"image": {"repository": f"service@{DIGEST}"}}, "put it into image.tag or image.digest"),
        (URI | {"terminationGracePeriodSeconds": 49}, "49 is less than drain.delaySeconds"),
        (URI | {"autoscaling": {"enabled": True, "minReplicas": 9}}, "minReplicas 9 is more than maxReplicas 5"),
        ({"model": {"uri": "gs://b/m", "existingClaim": "models"}}, "model.existingClaim and model.uri are given"),
        ({"model": {"baked": True, "image": {"repository": "m"}}}, "model.baked and model.image.repository are given"),
        ({"model": {"baked": True, "subPath": "churn"}}, "model.subPath: only a claim or an image"),
        ({"model": {"image": {"repository": "m:1"}}}, "put it into model.image.tag"),
        (URI | {"httpRoute": {"enabled": True}}, "httpRoute.parentRefs: missing"),
        (
            URI | {"initContainer": {"caBundle": {"configMap": "a", "secret": "b"}}},
            "give configMap or secret, not both",
        ),
        (URI | {"config": {"tls_client_ca_file": "/ca.pem"}}, "show no client certificate"),
        (URI | {"config": {"worker_timeout_seconds": 30}}, "30 must be more than drain.requestTimeoutSeconds 30"),
        (URI | {"autoscaling": {"enabled": True, "minReplicas": 0}}, "0 needs autoscaling.scaler keda"),
        (URI | {"autoscaling": {"enabled": True, "scaler": "keda", "minReplicas": 0}}, "0 pods cannot be asked"),
        (URI | {"autoscaling": {"enabled": True}, "resources": {"requests": None}}, "resources.requests.cpu: missing"),
    ],
)
def test_values_that_make_no_sense_are_refused_with_a_sentence(values: Any, sentence: str) -> None:
    assert sentence in refusal(values)


@pytest.mark.parametrize(
    "values",
    [
        {"replicas": 2},
        {"model": {"url": "gs://b/m"}},
        {"model": {"digest": "latest"}},
        {"model": {"sha256": "abc"}},
        {"image": {"name": "service"}},
        {"config": {"log_levl": "info"}},
        {"config": {"model_root": "/elsewhere"}},
        {"config": {"log_level": "loud"}},
        {"drain": {"delaySeconds": -1}},
        {"drain": {"delaySeconds": 1.5}},
        {"autoscaling": {"maxReplicas": 0}},
        {"service": {"port": "http"}},
        {"probes": {"liveness": {"timeoutSeconds": None}}},
        {"tracing": {"sampleRatio": 2}},
        {"tracing": {"endpoint": "collector:4317"}},
        {"initContainer": {"env": []}},
        {"serviceAccount": {"automount": True}},
        {"model": {"mountPath": "/etc"}},
        {"autoscaling": {"scaler": "vpa"}},
        {"metrics": {"monitor": "both"}},
        {"metrics": {"rules": {"errorRatio": 2}}},
        {"ingress": {"hosts": [{"host": "a.example.com"}]}},
        {"overlay": {"container": {}}},
    ],
)
def test_unknown_and_impossible_values_are_refused(values: dict[str, Any]) -> None:
    name = next(iter(values))
    assert name in refusal(URI | {name: (URI.get(name, {}) | values[name]) if name == "model" else values[name]})
