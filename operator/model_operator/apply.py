"""Makes the cluster's objects what they should be: applies what changed, prunes what is no longer rendered.

What was applied last is remembered in this process only: after a start everything is applied once more, which changes
nothing where nothing differs.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from model_operator.cluster import MANAGER, ApiError, Cluster, Object
from model_operator.desired import belongs_to
from model_operator.kinds import DEPLOYMENT, FOREIGN_GROUPS, LABEL, RENDERED, Kind
from model_operator.problems import Problem, Reason
from model_operator.render import digest_of

HANDOVER = f"{MANAGER}-handover"
"""Field manager that keeps `replicas` as they are while the operator lets go of them."""
TAKES_NO = {400, 403, 409, 422}
"""Answers that trying again at once does not change: the resource's own fault, or the namespace's."""

Key = tuple[str, str]


@dataclass(frozen=True)
class _Applied:
    digest: str
    generations: Mapping[str, int]
    """Of the Deployments, as they were then: another one means that somebody else has changed it."""
    at: float


class Applier:
    """Applies the objects of one resource at a time."""

    def __init__(self, cluster: Cluster, resync: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._resync = resync
        self._clock = clock
        self._applied: dict[Key, _Applied] = {}

    def forget(self, key: Key) -> None:
        """The resource is gone."""
        self._applied.pop(key, None)

    def apply(self, resource: Object, objects: Sequence[Object], there: Iterable[Object | None]) -> list[Problem]:
        """Apply and prune where anything has changed, or a while has passed; what did not work.

        Args:
            resource: whose objects they are.
            objects: all that there should be.
            there: its Deployments as they are.
        """
        key = (resource["metadata"]["namespace"], resource["metadata"]["name"])
        wanted, generations = digest_of(objects), dict(_generation(item) for item in there if item)
        before = self._applied.get(key)
        fresh = before is not None and self._clock() - before.at < self._resync
        if before is not None and fresh and (before.digest, before.generations) == (wanted, generations):
            return []
        problems = []
        for item in objects:
            problem, result = self._apply_one(resource, item)
            problems += [problem] if problem else []
            generations |= [_generation(result)] if item["kind"] == DEPLOYMENT.name and result else []
        if not problems:
            if before is None or before.digest != wanted:
                self._prune(resource, objects)
            self._applied[key] = _Applied(wanted, generations, self._clock())
        return problems

    def _apply_one(self, resource: Object, item: Object) -> tuple[Problem | None, Object | None]:
        kind = RENDERED[item["kind"]]
        name = f"{item['kind']} {item['metadata']['name']}"
        try:
            there = self._cluster.get(kind, item["metadata"]["namespace"], item["metadata"]["name"])
            if there is not None and not belongs_to(there, resource):
                hint = "rename the ModelDeployment, or delete that object"
                return Problem(Reason.NAME_TAKEN, f"{name} is there and is not this ModelDeployment's; {hint}"), None
            if there is not None and kind is DEPLOYMENT:
                self._hand_over(there, item)
            return None, self._cluster.apply(kind, item)
        except ApiError as error:
            if error.status == 404 and kind.group in FOREIGN_GROUPS:
                what = FOREIGN_GROUPS[kind.group]
                return Problem(
                    Reason.MISSING_API, f"{name}: this cluster has no {kind.api_version}; install {what}"
                ), None
            if error.status in TAKES_NO:
                return Problem(Reason.APPLY_REFUSED, f"{name}: {error}"), None
            raise

    def _hand_over(self, there: Object, item: Object) -> None:
        """Before the operator stops saying `replicas`, have the present number owned: else it falls back to 1."""
        if "replicas" in item["spec"] or not _owns_replicas(there):
            return
        kept = {key: item[key] for key in ("apiVersion", "kind")}
        meta = {key: item["metadata"][key] for key in ("namespace", "name")}
        kept |= {"metadata": meta, "spec": {"replicas": there["spec"]["replicas"]}}
        self._cluster.apply(DEPLOYMENT, kept, manager=HANDOVER)

    def _prune(self, resource: Object, objects: Sequence[Object]) -> None:
        meta = resource["metadata"]
        wanted = {(item["kind"], item["metadata"]["name"]) for item in objects}
        for kind in RENDERED.values():
            for item in self._cluster.find(kind, meta["namespace"], f"{LABEL}={meta['name']}"):
                if (kind.name, item["metadata"]["name"]) not in wanted and belongs_to(item, resource):
                    self._delete(kind, item)

    def _delete(self, kind: Kind, item: Object) -> None:
        self._cluster.delete(kind, item["metadata"]["namespace"], item["metadata"]["name"])


def _owns_replicas(item: Mapping[str, object]) -> bool:
    meta = item["metadata"]
    managed = meta.get("managedFields", []) if isinstance(meta, dict) else []
    return any(
        entry.get("manager") == MANAGER and "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {})
        for entry in managed
    )


def _generation(deployment: Object) -> tuple[str, int]:
    return deployment["metadata"]["name"], deployment["metadata"]["generation"]
