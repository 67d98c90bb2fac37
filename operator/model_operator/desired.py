"""From a ModelDeployment to the chart's values, and from what the chart renders to what is applied. Pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model_operator.cluster import MANAGER, Object
from model_operator.kinds import APART, CONFIG_MAP, GROUP, LABEL, MODEL_DEPLOYMENT, RENDERED, SECRET
from model_operator.render import digest_of

REVISION = f"{GROUP}/revision"
"""Annotation of pods: the revision that they were made for."""
HELD = f"{GROUP}/rendered"
"""Annotation of pods: which versions they hold, as the rollout tells them apart."""
SOURCE = f"{GROUP}/source"
"""Annotation of pods: what an unpinned source held when they were made."""
ADMIN_PORT = 8081
TRAFFIC_KEY, TOKEN_KEY = "traffic.json", "token"

Spec = Mapping[str, Any]
Model = Mapping[str, Any]
_AS_THEY_ARE = ("resources", "access")
_AUTOSCALING = ("minReplicas", "maxReplicas", "targetCPUUtilizationPercentage")


class NotOurs(Exception):
    """The chart rendered something that the operator does not apply."""


def revision(model: Model) -> str:
    """A name for what is served: its version, and a hash of where it comes from."""
    return f"{model.get('version') or 'unversioned'}-{digest_of(dict(model))[:8]}"


def traffic_name(name: str) -> str:
    """ConfigMap with the traffic document."""
    return f"{name}-traffic"


def admin_name(name: str) -> str:
    """Secret with the token of the admin port."""
    return f"{name}-admin"


def apart_name(name: str) -> str:
    """Of the Deployment of a candidate that needs another image; short enough for the chart to take it as it is."""
    return f"{name if len(name) <= 42 else name[:33] + '-' + digest_of(name)[:8]}-candidate"


@dataclass(frozen=True)
class Held:
    """What the pods of a Deployment hold."""

    models: Sequence[Model]
    """`model` values, the serving one first."""
    image: Mapping[str, Any]
    """`image` value of the service; empty: the chart's."""
    fingerprint: str
    source: str | None = None
    """What the unpinned source holds, where pods follow it."""


def chart_values(name: str, spec: Spec, held: Held) -> dict[str, Any]:
    """The chart's values: `spec.values` below, what spec says by its fields above.

    Args:
        name: of the ModelDeployment and of every object.
        spec: of it.
        held: by the pods.
    """
    models = held.models
    marks = {REVISION: revision(models[-1]), HELD: held.fingerprint} | ({SOURCE: held.source} if held.source else {})
    own = {
        "fullnameOverride": name,
        "model": dict(models[0]),
        "trafficConfigMap": traffic_name(name),
        "admin": {"enabled": True, "port": ADMIN_PORT, "existingSecret": admin_name(name), "key": TOKEN_KEY},
        "podLabels": {LABEL: name},
        "podAnnotations": marks,
        **_scaling(spec),
        **{field: spec[field] for field in _AS_THEY_ARE if field in spec},
        **spec.get("scheduling", {}),
    }
    if held.image:
        own["image"] = dict(held.image)
    if len(models) > 1:
        own["versions"] = [dict(model) for model in models[1:]]
    if "tracing" in spec:
        tracing = spec["tracing"]
        ratio = {"sampleRatio": float(tracing["sampleRatio"])} if "sampleRatio" in tracing else {}
        own["tracing"] = {"enabled": True, "endpoint": tracing["endpoint"]} | ratio
    return merged({key: value for key, value in spec.get("values", {}).items() if key != "image"}, own)


def apart_values(name: str, spec: Spec, held: Held, replicas: int, account: str) -> dict[str, Any]:
    """The same for a candidate with a Deployment of its own, which the first one's Service, account and token serve.

    Args:
        name: of the ModelDeployment.
        spec: of it.
        held: by the candidate's pods.
        replicas: of them.
        account: the ServiceAccount of the first Deployment.
    """
    own = {
        "fullnameOverride": apart_name(name),
        "trafficConfigMap": "",
        "podLabels": {APART: "true"},
        "replicaCount": replicas,
        "autoscaling": {"enabled": False},
        "serviceAccount": {"create": False, "name": account},
        "metrics": {"dashboard": {"enabled": False}},
    }
    return merged(chart_values(name, spec, held), own)


def _scaling(spec: Spec) -> dict[str, Any]:
    scaling = spec["autoscaling"]
    if scaling["mode"] == "none":
        return {"replicaCount": spec["replicas"], "autoscaling": {"enabled": False}}
    given = {field: scaling[field] for field in _AUTOSCALING if field in scaling}
    keda = {"keda": {"targetInFlight": scaling["targetInFlight"]}} if "targetInFlight" in scaling else {}
    return {"autoscaling": {"enabled": True, "scaler": scaling["mode"], **given, **keda}}


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Maps are merged, everything else is replaced."""
    both = {
        key: merged(below[key], value) if isinstance(value, Mapping) and isinstance(below.get(key), Mapping) else value
        for key, value in above.items()
    }
    return dict(below) | both


def owned(objects: Iterable[Mapping[str, Any]], resource: Object) -> list[Object]:
    """The objects as they are applied: in the resource's namespace, labelled, and deleted with it.

    Raises:
        NotOurs: an object of a kind or in a namespace that a ModelDeployment does not make.
    """
    namespace = resource["metadata"]["namespace"]
    result = []
    for item in objects:
        meta = item["metadata"]
        if RENDERED.get(item["kind"]) is None or RENDERED[item["kind"]].api_version != item["apiVersion"]:
            raise NotOurs(f"{item['apiVersion']} {item['kind']} {meta['name']}: the operator does not create this kind")
        if meta.get("namespace", namespace) != namespace:
            raise NotOurs(
                f"{item['kind']} {meta['name']}: it belongs to namespace {meta['namespace']}, not {namespace}"
            )
        labels = meta.get("labels", {}) | {LABEL: resource["metadata"]["name"]}
        result.append(dict(item) | {"metadata": dict(meta) | _belonging(labels, resource)})
    return result


def _belonging(labels: Mapping[str, str], resource: Object) -> dict[str, Any]:
    meta = resource["metadata"]
    return {
        "namespace": meta["namespace"],
        "labels": dict(labels) | {"app.kubernetes.io/managed-by": MANAGER},
        "ownerReferences": [owner_reference(resource)],
    }


def owner_reference(resource: Object) -> dict[str, Any]:
    """What makes an object go away with the resource."""
    meta = resource["metadata"]
    return {
        "apiVersion": MODEL_DEPLOYMENT.api_version,
        "kind": MODEL_DEPLOYMENT.name,
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def belongs_to(item: Mapping[str, Any], resource: Object) -> bool:
    """Whether an object is the resource's own."""
    owners = item["metadata"].get("ownerReferences", [])
    return any(owner["uid"] == resource["metadata"]["uid"] for owner in owners)


def traffic_map(resource: Object, document: Mapping[str, Any] | None) -> Object:
    """The ConfigMap that the pods read their traffic from; without a document it is empty."""
    data = {TRAFFIC_KEY: json.dumps(document, sort_keys=True)} if document else {}
    return _own(
        CONFIG_MAP.api_version, CONFIG_MAP.name, traffic_name(resource["metadata"]["name"]), resource, data=data
    )


def admin_secret(resource: Object, token: str) -> Object:
    """The Secret that the pods' admin port compares tokens with."""
    name = admin_name(resource["metadata"]["name"])
    return _own(SECRET.api_version, SECRET.name, name, resource, type="Opaque", stringData={TOKEN_KEY: token})


def _own(api_version: str, kind: str, name: str, resource: Object, **fields: Any) -> Object:
    meta = {"name": name} | _belonging({"app.kubernetes.io/instance": resource["metadata"]["name"]}, resource)
    return {"apiVersion": api_version, "kind": kind, "metadata": meta, **fields}
