"""Which values are refused, and with which sentence."""

from typing import Any

import pytest
import yaml
from support.chart import CHART, URI, refusal

DIGEST = f"sha256:{'a' * 64}"


def schema() -> Any:
    return yaml.safe_load((CHART / "values.schema.json").read_text())


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
    ],
)
def test_unknown_and_impossible_values_are_refused(values: dict[str, Any]) -> None:
    name = next(iter(values))
    assert name in refusal(URI | {name: (URI.get(name, {}) | values[name]) if name == "model" else values[name]})


def test_every_default_has_a_place_in_the_schema_and_every_place_a_default() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert set(schema()["properties"]) - {"global"} == set(values)


def test_no_object_of_the_schema_is_open_by_oversight() -> None:
    """An object either lists its keys and refuses others, or is one of Kubernetes' own, passed through."""

    def objects(node: Any) -> list[Any]:
        children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        below = [found for child in children for found in objects(child)]
        return [node, *below] if isinstance(node, dict) and "properties" in node and "type" in node else below

    listed = [node for node in objects(schema()) if node.get("required") != ["name"]]
    assert len(listed) > 10
    assert all(node["additionalProperties"] is False for node in listed)
