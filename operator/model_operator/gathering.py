"""Everything that one turn looks at: three calls of the API server, and a question to one pod."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import urllib3

from model_operator.cluster import Cluster, Object
from model_operator.desired import belongs_to, traffic_name
from model_operator.kinds import CONFIG_MAP, DEPLOYMENT, LABEL, POD
from model_operator.pods import Pod, read_pods

LOOK = urllib3.Timeout(connect=1.0, read=2.0)
SERVICE_PORT = 8000


@dataclass(frozen=True)
class Seen:
    """One resource and what there is of it."""

    resource: Object
    deployment: Object | None
    pods: Sequence[Pod]
    traffic: Object | None
    """The ConfigMap with the traffic document."""

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.resource["metadata"]["namespace"], self.resource["metadata"]["name"]

    @property
    def spec(self) -> Mapping[str, Any]:
        """What is asked for."""
        spec: Mapping[str, Any] = self.resource["spec"]
        return spec

    @property
    def status(self) -> Mapping[str, Any]:
        """What the last turn wrote."""
        return self.resource.get("status") or {}

    @property
    def annotations(self) -> Mapping[str, str]:
        """Of the resource: what people ask for once."""
        return self.resource["metadata"].get("annotations") or {}

    @property
    def ready(self) -> list[Pod]:
        """Pods that get requests."""
        return [pod for pod in self.pods if pod.ready and pod.ip]


def gather(cluster: Cluster, resource: Object) -> Seen:
    """Look at a resource's Deployment, pods and traffic."""
    namespace, name = resource["metadata"]["namespace"], resource["metadata"]["name"]
    deployment = cluster.get(DEPLOYMENT, namespace, name)
    if deployment is not None and not belongs_to(deployment, resource):
        deployment = None
    return Seen(
        resource=resource,
        deployment=deployment,
        pods=read_pods(cluster.find(POD, namespace, f"{LABEL}={name}")),
        traffic=cluster.get(CONFIG_MAP, namespace, traffic_name(name)),
    )


def served_by(pod: Pod) -> list[Mapping[str, Any]]:
    """Version and digest of each model that a pod has loaded, as its /health says; empty when it does not say."""
    host = f"[{pod.ip}]" if ":" in pod.ip else pod.ip
    try:
        with urllib3.PoolManager(retries=False, timeout=LOOK) as http:
            told = http.request("GET", f"http://{host}:{SERVICE_PORT}/health").json()
        return [each for each in told["models"] if each["version"]]
    except (urllib3.exceptions.HTTPError, ValueError, LookupError, TypeError):
        return []
