"""What a pod tells about itself: whether it is ready, and the last line of what stopped it. Pure."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from model_operator.desired import HELD, REVISION
from model_operator.kinds import APART

MESSAGE_LIMIT = 1024
PERMANENT_FETCH = {10, 11, 14, 15}
"""Exit codes of the fetcher that trying again does not change: denied, not found, wrong bytes, refused by policy."""
CANNOT_SERVE = 3
"""Exit code of the service when the model can never be served."""
_STUCK = {
    "ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError",
    "CreateContainerError", "RunContainerError",
}  # fmt: skip


@dataclass(frozen=True)
class Failure:
    """What stopped a pod: `part` is fetch, service or pod; `reason` is for programs, `message` for people."""

    part: str
    reason: str
    message: str
    permanent: bool = False


@dataclass(frozen=True)
class Pod:
    """One pod of a ModelDeployment that is not going away."""

    name: str
    uid: str
    ip: str
    started: str
    revision: str
    rendered: str
    """Fingerprint of the versions that it holds."""
    ready: bool
    fetched: bool
    failure: Failure | None
    apart: bool = False
    """One of the candidate's own Deployment."""
    tls: bool = False
    """Whether it has a certificate, as its probe says."""


def read_pods(items: Iterable[Mapping[str, Any]]) -> list[Pod]:
    """The pods that are not going away, oldest first."""
    alive = [item for item in items if "deletionTimestamp" not in item["metadata"]]
    return [_read(item) for item in sorted(alive, key=lambda item: item["metadata"]["creationTimestamp"])]


def _read(item: Mapping[str, Any]) -> Pod:
    meta, status = item["metadata"], item.get("status", {})
    conditions = {found["type"]: found for found in status.get("conditions", [])}
    inits = status.get("initContainerStatuses", [])
    ready = conditions.get("Ready", {}).get("status") == "True"
    return Pod(
        name=meta["name"],
        uid=meta["uid"],
        ip=status.get("podIP", ""),
        started=status.get("startTime") or meta["creationTimestamp"],
        revision=meta.get("annotations", {}).get(REVISION, ""),
        rendered=meta.get("annotations", {}).get(HELD, ""),
        ready=ready,
        fetched=conditions.get("Initialized", {}).get("status") == "True",
        failure=None if ready else _failure(status, inits, conditions),
        apart=APART in meta.get("labels", {}),
        tls=_has_certificate(item),
    )


def _has_certificate(item: Mapping[str, Any]) -> bool:
    containers = item.get("spec", {}).get("containers", [])
    probes = [each.get("readinessProbe", {}) for each in containers if each["name"] == "service"]
    return any(probe.get("httpGet", {}).get("scheme") == "HTTPS" for probe in probes)


def failure_of_pod(item: Mapping[str, Any]) -> Failure | None:
    """What stopped a pod whose one container is the fetcher."""
    status = item.get("status", {})
    conditions = {found["type"]: found for found in status.get("conditions", [])}
    return _failure(status, status.get("containerStatuses", []), conditions)


def _failure(status: Mapping[str, Any], inits: list[Any], conditions: Mapping[str, Any]) -> Failure | None:
    placed = conditions.get("PodScheduled", {})
    if placed.get("status") == "False":
        return Failure("pod", placed.get("reason", "Unschedulable"), _last_line(placed.get("message", "")))
    for part, found in [
        *(("fetch", each) for each in inits),
        *(("service", each) for each in status.get("containerStatuses", [])),
    ]:
        failure = _of_container(part, found)
        if failure is not None:
            return failure
    return None


def _of_container(part: str, status: Mapping[str, Any]) -> Failure | None:
    state = status.get("state", {})
    waiting = state.get("waiting", {})
    if waiting.get("reason") in _STUCK:
        return Failure(part, waiting["reason"], _last_line(waiting.get("message", "")))
    ended = state.get("terminated") or status.get("lastState", {}).get("terminated")
    if not ended or (ended["exitCode"] == 0 and part == "fetch"):
        return None
    code, message = ended["exitCode"], ended.get("message", "")
    if ended.get("reason") == "OOMKilled":
        return Failure(part, "OOMKilled", f"container {status['name']} took more than its memory limit")
    if part == "fetch":
        told = _fetcher_message(message)
        reason = told.get("reason") or "FetchFailed"
        return Failure(part, reason, told.get("message") or _ending(status, code, message), code in PERMANENT_FETCH)
    reason = "LoadFailed" if code == CANNOT_SERVE else "Crashed"
    return Failure(part, reason, _ending(status, code, message), code == CANNOT_SERVE)


def _ending(status: Mapping[str, Any], code: int, message: str) -> str:
    return _last_line(message) or f"container {status['name']} ended with exit code {code}"


def _fetcher_message(text: str) -> dict[str, str]:
    """The fetcher's JSON object `{reason, uri, identity, message}`; empty for anything else."""
    try:
        told = json.loads(text)
    except ValueError:
        return {}
    return {key: str(value) for key, value in told.items()} if isinstance(told, dict) else {}


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:MESSAGE_LIMIT] if lines else ""
