"""A program that takes the place of helm where there is none: `template NAME CHART ...`, a few objects from the values.

The chart itself is tested with the real helm; this one is for tests of what is done with the objects.
"""

import json
import sys
from typing import Any


def main() -> int:
    """Print objects, or refuse as helm does."""
    name, values = sys.argv[2], json.load(sys.stdin)
    if "wrokers" in values.get("config", {}):
        complaint = "values don't meet the specifications of the schema(s) in the following chart(s):\nmodel-service:\n"
        sys.stderr.write(f"Error: {complaint}- at '/config': additional properties 'wrokers' not allowed\n")
        return 1
    if values.get("drain") == {"delaySeconds": -1}:
        sys.stderr.write("Error: execution error at (model-service/templates/deployment.yaml:1:4): drain: below 0\n")
        return 1
    print("\n---\n".join(json.dumps(item) for item in objects(name, values)))
    return 0


def objects(name: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    """A Deployment, a Service, and what values ask for."""
    labels = {"app.kubernetes.io/instance": name}

    scheme = "HTTPS" if "tls_cert_file" in values.get("config", {}) else "HTTP"

    def item(api_version: str, kind: str, **spec: Any) -> dict[str, Any]:
        return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "labels": labels}, "spec": spec}

    pod = {
        "initContainers": [{"name": "fetch", "image": "fetch:1", "volumeMounts": [
            {"name": "models", "mountPath": "/mnt/models"}, {"name": "tmp", "mountPath": "/tmp"}]}],
        "containers": [{"name": "service", "image": values.get("image", {}).get("tag", "1"),
            "readinessProbe": {"httpGet": {"scheme": scheme}}}],
        "volumes": [{"name": "models", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}],
        "serviceAccountName": values.get("serviceAccount", {}).get("name", name),
    }  # fmt: skip
    meta = {"labels": labels | values["podLabels"], "annotations": values["podAnnotations"]}
    replicas = {"replicas": values["replicaCount"]} if "replicaCount" in values else {}
    template = {"metadata": meta, "spec": pod}
    found = [
        item("apps/v1", "Deployment", selector={"matchLabels": labels}, template=template, **replicas),
        item("v1", "Service", ports=[{"port": 80}], selector=labels),
    ]
    if values["autoscaling"]["enabled"] and values["autoscaling"]["scaler"] == "hpa":
        found.append(
            item(
                "autoscaling/v2",
                "HorizontalPodAutoscaler",
                **{side: values["autoscaling"][side] for side in ("minReplicas", "maxReplicas")},
            )
        )
    if values["autoscaling"]["enabled"] and values["autoscaling"]["scaler"] == "keda":
        found.append(item("keda.sh/v1alpha1", "ScaledObject"))
    if values.get("networkPolicy"):
        found.append(item("networking.k8s.io/v1", "NetworkPolicy"))
    return found


if __name__ == "__main__":
    sys.exit(main())
