"""Kinds of objects that the operator touches, and their places in the API. Its chart grants it these and no others."""

from dataclasses import dataclass

GROUP = "modelport.dev"
LABEL = f"{GROUP}/deployment"
"""On every rendered object and pod of a ModelDeployment: its name. What bears it and is not rendered is pruned."""
APART = f"{GROUP}/apart"
"""On the pods of a candidate that has a Deployment of its own."""


@dataclass(frozen=True)
class Kind:
    """A kind and its path below the API server's root."""

    name: str
    group: str
    version: str
    plural: str

    @property
    def api_version(self) -> str:
        """As objects say it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str, name: str = "", subresource: str = "") -> str:
        """Of a collection, an object or a part of one."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        parts = [part for part in (name, subresource) if part]
        return "/".join([root, "namespaces", namespace, self.plural, *parts])


MODEL_DEPLOYMENT = Kind("ModelDeployment", GROUP, "v1alpha1", "modeldeployments")
DEPLOYMENT = Kind("Deployment", "apps", "v1", "deployments")
POD = Kind("Pod", "", "v1", "pods")
SECRET = Kind("Secret", "", "v1", "secrets")
CONFIG_MAP = Kind("ConfigMap", "", "v1", "configmaps")
EVENT = Kind("Event", "", "v1", "events")
LEASE = Kind("Lease", "coordination.k8s.io", "v1", "leases")

RENDERED = {
    kind.name: kind
    for kind in (
        DEPLOYMENT,
        CONFIG_MAP,
        Kind("Service", "", "v1", "services"),
        Kind("ServiceAccount", "", "v1", "serviceaccounts"),
        Kind("HorizontalPodAutoscaler", "autoscaling", "v2", "horizontalpodautoscalers"),
        Kind("PodDisruptionBudget", "policy", "v1", "poddisruptionbudgets"),
        Kind("NetworkPolicy", "networking.k8s.io", "v1", "networkpolicies"),
        Kind("Ingress", "networking.k8s.io", "v1", "ingresses"),
        Kind("HTTPRoute", "gateway.networking.k8s.io", "v1", "httproutes"),
        Kind("ScaledObject", "keda.sh", "v1alpha1", "scaledobjects"),
        Kind("ServiceMonitor", "monitoring.coreos.com", "v1", "servicemonitors"),
        Kind("PodMonitor", "monitoring.coreos.com", "v1", "podmonitors"),
        Kind("PrometheusRule", "monitoring.coreos.com", "v1", "prometheusrules"),
    )
}
"""What the chart may render, by kind; anything else is refused."""
SERVICE = RENDERED["Service"]
OF_PODS = {"Deployment", "ConfigMap", "NetworkPolicy", "PodDisruptionBudget", "PodMonitor"}
"""What a second Deployment of the chart brings with it; the rest is there once and leads to both."""
FOREIGN_GROUPS = {
    "gateway.networking.k8s.io": "the Gateway API",
    "keda.sh": "KEDA",
    "monitoring.coreos.com": "the Prometheus operator",
}
"""Groups that not every cluster has, with what brings them."""
