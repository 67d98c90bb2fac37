"""Everything that one turn looks at: a few calls of the API server, and a question to one pod."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import urllib3

from model_operator.cluster import Cluster, Object
from model_operator.desired import apart_name, belongs_to, traffic_name
from model_operator.kinds import CONFIG_MAP, DEPLOYMENT, LABEL, POD, SERVICE
from model_operator.pods import Pod, read_pods
from model_operator.problems import Problem, Reason
from model_operator.rollout import Trust, Unanswered, connections, origin

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
    apart: Object | None = None
    """The Deployment of a candidate that needs another image."""
    service: Object | None = None
    """Looked at only while there are two Deployments behind it."""
    trust: Trust | None = None
    """What the pods' certificate is checked by, where they have one."""
    problems: Sequence[Problem] = ()

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
    """Look at a resource's Deployments, pods and traffic."""
    namespace, name = resource["metadata"]["namespace"], resource["metadata"]["name"]
    found = cluster.find(DEPLOYMENT, namespace, f"{LABEL}={name}")
    deployments = {item["metadata"]["name"]: item for item in found if belongs_to(item, resource)}
    apart = deployments.get(apart_name(name))
    trust, problems = _trust(cluster, resource)
    return Seen(
        resource=resource,
        deployment=deployments.get(name),
        pods=read_pods(cluster.find(POD, namespace, f"{LABEL}={name}")),
        traffic=cluster.get(CONFIG_MAP, namespace, traffic_name(name)),
        apart=apart,
        service=cluster.get(SERVICE, namespace, name) if apart else None,
        trust=trust,
        problems=problems,
    )


def _trust(cluster: Cluster, resource: Object) -> tuple[Trust | None, list[Problem]]:
    """What `spec.tls` says, and what is missing of it."""
    tls, meta = resource["spec"].get("tls"), resource["metadata"]
    if tls is None:
        return None, []
    name, key = tls["caBundle"]["configMap"], tls["caBundle"]["key"]
    authorities = (cluster.get(CONFIG_MAP, meta["namespace"], name) or {}).get("data", {}).get(key, "")
    if not authorities:
        message = f"tls.caBundle: ConfigMap {name} has no entry {key} to check the pods' certificate by"
        return None, [Problem(Reason.AUTHORITIES_MISSING, message)]
    return Trust(authorities, tls.get("serverName", f"{meta['name']}.{meta['namespace']}.svc")), []


def served_by(pod: Pod, trust: Trust | None) -> list[Mapping[str, Any]]:
    """Version and digest of each model that a pod has loaded, as its /health says; empty when it does not say."""
    try:
        place = origin(pod.ip, SERVICE_PORT, tls=pod.tls, trust=trust)
        with connections(trust) as http:
            told = http.request("GET", f"{place}/health", timeout=LOOK).json()
        return [each for each in told["models"] if each["version"]]
    except (urllib3.exceptions.HTTPError, Unanswered, ValueError, LookupError, TypeError):
        return []
