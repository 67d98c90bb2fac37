"""One turn for one resource, level-triggered: gather, decide, carry out, and one exit that writes the status.

What a turn depends on is read anew each time, and what a rollout remembers is stored before it is acted on. So a turn
may be cut off anywhere: the next one, of this process or another, goes on.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from model_operator.apply import Applier
from model_operator.cluster import Cluster
from model_operator.conditions import TRUE, stopped
from model_operator.desired import admin_secret, belongs_to, traffic_map
from model_operator.events import Events
from model_operator.gathering import Seen, gather, served_by
from model_operator.kinds import CONFIG_MAP, DEPLOYMENT, MODEL_DEPLOYMENT, SECRET, SERVICE
from model_operator.metrics import DEGRADED
from model_operator.patches import patch_of
from model_operator.planning import Plan, plan
from model_operator.problems import Problem, Reason
from model_operator.progress import Progress, Rollouts
from model_operator.render import Chart
from model_operator.rollout import RolloutState
from model_operator.routing import selector
from model_operator.source import look
from model_operator.status import Turn, serving_version, status_of, view_of
from model_operator.tokens import Tokens
from model_operator.workqueue import Key

log = logging.getLogger(__name__)

BUSY, PATIENT = 1.0, 15.0
"""Seconds until the next look while pods come up: doubled from the first to the second while nothing changes."""


class Reconciler:
    """Turns for resources; what it remembers between them only saves calls."""

    def __init__(self, cluster: Cluster, chart: Chart, tokens: Tokens, resync: float) -> None:
        self._cluster = cluster
        self._chart = chart
        self._tokens = tokens
        self._resync = resync
        self._applier = Applier(cluster, resync, time.monotonic)
        self._rollouts = Rollouts(tokens)
        self._events = Events(cluster)
        self._served: dict[Key, tuple[str, list[Mapping[str, Any]]]] = {}
        self._waits: dict[Key, float] = {}

    def turn(self, key: Key) -> float | None:
        """Bring one resource nearer to what it asks for; seconds until it should be looked at again.

        Raises:
            ApiError: the API server failed; the turn is to be tried again.
        """
        resource = self._cluster.get(MODEL_DEPLOYMENT, *key)
        if resource is None or "deletionTimestamp" in resource["metadata"]:
            self.forget(key)
            return None
        seen = gather(self._cluster, resource)
        now = datetime.now(UTC)
        try:
            progress = self._rollouts.decide(seen, now)
        except ValidationError as error:
            return self._stop(seen, error, now)
        self._store(seen, progress)
        self._route(seen, progress.state)
        source, look_again = look(self._cluster, seen, now)
        planned = plan(seen, progress.state, self._chart, source.mark if source else None)
        problems = [*seen.problems, *planned.problems, *self._carry_out(seen, planned, progress)]
        problems += [source.problem] if source and source.problem else []
        turn = Turn(
            seen,
            progress.state,
            planned,
            source,
            problems,
            self._served_by(seen, serving_version(seen, progress.state)),
        )
        changed = self._write(turn, now)
        self._events.tell(resource, progress.events)
        waits = [self._wait(key, turn, changed), progress.again, look_again]
        return min(wait for wait in waits if wait is not None)

    def forget(self, key: Key) -> None:
        """A resource is gone; Kubernetes deletes what it owns."""
        self._applier.forget(key)
        self._rollouts.forget(key)
        self._served.pop(key, None)
        self._waits.pop(key, None)
        DEGRADED.remove_by_labels({"namespace": key[0], "name": key[1]})

    def _stop(self, seen: Seen, error: ValidationError, now: datetime) -> float:
        """Change nothing: to begin anew would be to promote the target unseen, and that is for a person to say."""
        namespace, name = seen.key
        where = ".".join(map(str, error.errors()[0]["loc"])) or "text"
        message = (
            f"status.rollout.memory: somebody else has written it ({where}: {error.errors()[0]['msg']}), so nothing is "
            f"changed; have spec.model taken for the stable version: kubectl -n {namespace} patch md {name} "
            """--subresource=status --type=merge -p '{"status": {"rollout": null}}'"""
        )
        before, generation = seen.status.get("conditions", []), seen.resource["metadata"]["generation"]
        told = stopped(Problem(Reason.STATE_UNREADABLE, message), before, generation, now)
        patch = patch_of({"conditions": before}, {"conditions": told})
        if patch:
            self._cluster.merge(MODEL_DEPLOYMENT, seen.key, {"status": patch}, "status")
            self._events.turned(seen.resource, before, told)
        DEGRADED.labels(*seen.key).set(True)
        return PATIENT

    def _store(self, seen: Seen, progress: Progress) -> None:
        """What a rollout decided is in the status before anything of it is done.

        Refused (409) when anybody has written the resource since it was read: so even of two operators that both act,
        none acts on a state that the other has left behind.
        """
        patch = patch_of(seen.status.get("rollout") or {}, progress.record)
        if patch:
            read = {"resourceVersion": seen.resource["metadata"]["resourceVersion"]}
            self._cluster.merge(MODEL_DEPLOYMENT, seen.key, {"metadata": read, "status": {"rollout": patch}}, "status")

    def _carry_out(self, seen: Seen, planned: Plan, progress: Progress) -> list[Problem]:
        resource = seen.resource
        if seen.traffic is not None and not belongs_to(seen.traffic, resource):
            name = seen.traffic["metadata"]["name"]
            return [Problem(Reason.NAME_TAKEN, f"ConfigMap {name} is there and is not this ModelDeployment's")]
        if seen.deployment is None or len(seen.ready) < len(seen.pods):
            self._cluster.create(SECRET, admin_secret(resource, self._tokens.of_resource(resource["metadata"]["uid"])))
        wanted = traffic_map(resource, progress.document)
        if seen.traffic is None or seen.traffic.get("data", {}) != wanted["data"]:
            self._cluster.apply(CONFIG_MAP, wanted)
        problems = []
        if planned.objects:
            problems += self._applier.apply(resource, planned.objects, (seen.deployment, seen.apart))
        else:
            self._scale(seen, progress.state)
        return problems + self._rollouts.push(seen, progress)

    def _route(self, seen: Seen, state: RolloutState) -> None:
        """Lead the traffic to the pods that it is for, and only then take a second Deployment away."""
        if seen.apart is None:
            return
        service, wanted = seen.service, selector(seen, state)
        if service is not None and wanted and belongs_to(service, seen.resource):
            patch = patch_of({"selector": service["spec"].get("selector", {})}, {"selector": wanted})
            if patch:
                self._cluster.merge(SERVICE, seen.key, {"spec": patch})
        if state.apart is None:
            self._cluster.delete(DEPLOYMENT, seen.key[0], seen.apart["metadata"]["name"])

    def _scale(self, seen: Seen, state: RolloutState) -> None:
        """While nothing is rendered: the numbers of pods are still the resource's and the rollout's."""
        mine = seen.spec["autoscaling"]["mode"] == "none"
        wanted = [(seen.deployment, seen.spec["replicas"] if mine else None)]
        wanted += [(seen.apart, state.apart.replicas if state.apart else None)]
        for deployment, replicas in wanted:
            if deployment and replicas is not None and deployment["spec"]["replicas"] != replicas:
                place = seen.key[0], deployment["metadata"]["name"]
                self._cluster.merge(DEPLOYMENT, place, {"spec": {"replicas": replicas}})

    def _served_by(self, seen: Seen, version: str) -> Mapping[str, Any]:
        """What the newest ready pod says of the version that serves (empty: its default); asked until it has told."""
        ready = [pod for pod in seen.ready if not pod.apart]
        if not ready:
            return {}
        pod = ready[-1]
        asked, told = self._served.get(seen.key, ("", []))
        if asked != pod.uid or not _of_version(told, version):
            told = served_by(pod, seen.trust)
            self._served[seen.key] = (pod.uid, told)
        return _of_version(told, version)

    def _write(self, turn: Turn, now: datetime) -> bool:
        """Write the status where it differs; whether it did."""
        seen = turn.seen
        status = status_of(turn, now)
        before = dict(seen.status) | {"rollout": turn.state.dump()}
        degraded = next(each for each in status["conditions"] if each["type"] == "Degraded")
        DEGRADED.labels(*seen.key).set(degraded["status"] == TRUE)
        patch = patch_of(before, before | status)
        if not patch:
            return False
        self._cluster.merge(MODEL_DEPLOYMENT, seen.key, {"status": patch}, "status")
        self._events.turned(seen.resource, seen.status.get("conditions", []), status["conditions"])
        return True

    def _wait(self, key: Key, turn: Turn, changed: bool) -> float:
        if view_of(turn).settled and not turn.problems:
            self._waits.pop(key, None)
            return self._resync
        before = self._waits.get(key, BUSY / 2)
        self._waits[key] = BUSY if changed else min(before * 2, PATIENT)
        return self._waits[key]


def _of_version(told: Sequence[Mapping[str, Any]], version: str) -> Mapping[str, Any]:
    return next((each for each in told if not version or each["version"] == version), {})
