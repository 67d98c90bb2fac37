"""`reloadPolicy: OnChange`: what an unpinned source holds now, found out by a pod with the fetcher's own image.

The pod is the Deployment's own init container with other arguments: same account, credentials, proxy and certificates.
So the operator needs neither access to any bucket nor a storage client.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from model_operator.cluster import Cluster, Object
from model_operator.desired import owner_reference
from model_operator.gathering import Seen
from model_operator.kinds import DEPLOYMENT, GROUP, POD
from model_operator.pods import Failure, failure_of_pod
from model_operator.problems import Problem, Reason

LABEL = f"{GROUP}/source-of"
DEADLINE_SECONDS = 300
_POLL = 2.0
_POD_FIELDS = (
    "serviceAccountName", "securityContext", "imagePullSecrets", "nodeSelector", "tolerations", "affinity",
    "priorityClassName", "automountServiceAccountToken", "enableServiceLinks",
)  # fmt: skip
_UNITS = {"h": 3600, "m": 60, "s": 1}


@dataclass(frozen=True)
class Source:
    """What is known of a source, as `status.source`."""

    digest: str = ""
    """At the last look."""
    mark: str = ""
    """Of the pods: empty until a change was seen."""
    checked: str = ""
    problem: Problem | None = None

    @classmethod
    def of(cls, status: Mapping[str, Any]) -> "Source":
        """As the last turn wrote it."""
        told = status.get("source") or {}
        problem = Problem(Reason.SOURCE_UNKNOWN, told["message"]) if told.get("message") else None
        return cls(told.get("digest", ""), told.get("mark", ""), told.get("checkedAt", ""), problem)

    def dump(self) -> dict[str, str]:
        """For the status."""
        told = {"digest": self.digest, "mark": self.mark, "checkedAt": self.checked}
        return {
            key: text
            for key, text in (told | {"message": self.problem.message if self.problem else ""}).items()
            if text
        }


def seconds(duration: str) -> int:
    """`1h30m` in seconds."""
    return sum(int(count) * _UNITS[unit] for count, unit in re.findall(r"([0-9]+)([smh])", duration))


def look(cluster: Cluster, seen: Seen, now: datetime) -> tuple[Source | None, float | None]:
    """Go on with finding out; what is known now, and when to go on. (None, None) where nobody asks for it."""
    if seen.spec["reloadPolicy"] != "OnChange":
        return None, None
    known = Source.of(seen.status)
    namespace, name = seen.key
    pod = cluster.get(POD, namespace, _pod_name(name))
    if pod is not None:
        return _finish(cluster, seen, known, pod, now)
    interval = seconds(seen.spec["reloadInterval"])
    due = datetime.fromisoformat(known.checked) + timedelta(seconds=interval) if known.checked else now
    if now < due:
        return known, (due - now).total_seconds()
    if seen.deployment is None or not seen.ready:
        return known, None
    cluster.create(POD, asking_pod(seen.resource, seen.deployment))
    return known, _POLL


def _finish(
    cluster: Cluster, seen: Seen, known: Source, pod: Object, now: datetime
) -> tuple[Source | None, float | None]:
    """Read what the pod found, and take it away."""
    phase = pod.get("status", {}).get("phase")
    failure = failure_of_pod(pod)
    if phase not in {"Succeeded", "Failed"} and failure is None:
        return known, _POLL
    namespace, name = seen.key
    text = cluster.log(namespace, _pod_name(name)) if phase == "Succeeded" else ""
    cluster.delete(POD, namespace, _pod_name(name))
    checked = now.isoformat(timespec="seconds")
    digest = newest(text, str(seen.spec["model"].get("version", "")))
    if not digest:
        problem = Problem(Reason.SOURCE_UNKNOWN, _complaint(seen, failure))
        return Source(known.digest, known.mark, checked, problem), float(seconds(seen.spec["reloadInterval"]))
    served = known.mark or seen.status.get("digest") or known.digest or digest
    return Source(digest, known.mark if digest == served else digest, checked), 0.0


def newest(listing: str, version: str) -> str:
    """The digest of a version, or the highest, in what `model-fetch versions --json` prints; empty if there is none."""
    try:
        found = json.loads(listing[listing.index("[") :])
    except ValueError:
        return ""
    wanted = [each for each in found if not version or each["version"] == version]
    return str(wanted[-1]["digest"]) if wanted else ""


def asking_pod(resource: Object, deployment: Object) -> Object:
    """A pod that lists what the source holds, made of the Deployment's own init container `fetch`."""
    spec = deployment["spec"]["template"]["spec"]
    fetch = next(each for each in spec["initContainers"] if each["name"] == "fetch")
    mounts = [mount for mount in fetch.get("volumeMounts", []) if mount["name"] != "models"]
    used = {mount["name"] for mount in mounts}
    container = {key: value for key, value in fetch.items() if key not in {"command", "args", "volumeMounts"}}
    container |= {"args": ["versions", resource["spec"]["model"]["uri"], "--json"], "volumeMounts": mounts}
    meta = resource["metadata"]
    return {
        "apiVersion": POD.api_version,
        "kind": POD.name,
        "metadata": {
            "namespace": meta["namespace"],
            "name": _pod_name(meta["name"]),
            "labels": {LABEL: meta["name"]},
            "ownerReferences": [owner_reference(resource)],
        },
        "spec": {field: spec[field] for field in _POD_FIELDS if field in spec}
        | {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": DEADLINE_SECONDS,
            "containers": [container],
            "volumes": [volume for volume in spec.get("volumes", []) if volume["name"] in used],
        },
    }


def _complaint(seen: Seen, failure: Failure | None) -> str:
    told = failure.message if failure else "it holds no bundle of the wanted version"
    return f"{DEPLOYMENT.name} {seen.key[1]} follows {seen.spec['model']['uri']}, which cannot be looked at: {told}"


def _pod_name(name: str) -> str:
    return f"{name}-source"
