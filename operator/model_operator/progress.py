"""Where the rollout of versions meets the rest of a turn: who is asked, what is decided, who is told."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from model_operator.cluster import Object
from model_operator.desired import ADMIN_PORT, TRAFFIC_KEY
from model_operator.gathering import SERVICE_PORT, Seen
from model_operator.kinds import GROUP
from model_operator.problems import Problem, Reason
from model_operator.rollout import (
    Address,
    Decision,
    Event,
    Observation,
    Pod,
    RolloutSpec,
    RolloutState,
    decide,
    gather,
    push,
)
from model_operator.tokens import Tokens
from model_operator.workqueue import Key

COMMAND = f"{GROUP}/rollout"
"""Annotation of the resource: what a person asks of its rollout."""


@dataclass(frozen=True)
class Progress:
    """What was decided, for the rest of the turn."""

    decision: Decision
    record: Mapping[str, Any]
    """For `status.rollout`."""
    pods: Sequence[Address]

    @property
    def state(self) -> RolloutState:
        """Where the rollout is now."""
        return self.decision.state

    @property
    def events(self) -> Sequence[Event]:
        """To tell people."""
        return self.decision.events

    @property
    def document(self) -> Mapping[str, Any] | None:
        """The traffic that is to be in force; None where there never was any."""
        return self.decision.traffic if self.decision.traffic["generation"] else None

    @property
    def again(self) -> float:
        """Seconds until the rollout wants to be looked at."""
        return self.decision.requeue_seconds


class Rollouts:
    """Rollouts of all resources; remembers which pods refused a document, and why."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._refused: dict[Key, Mapping[str, str]] = {}

    def forget(self, key: Key) -> None:
        """The resource is gone."""
        self._refused.pop(key, None)

    def decide(self, seen: Seen, now: datetime) -> Progress:
        """Ask the pods, where there is a rollout, and decide."""
        addresses = [_address(pod) for pod in seen.ready]
        spec = RolloutSpec.of(seen.spec)
        if spec.rollout is None:
            pods = tuple(
                Pod(name=at.name, uid=at.uid, started=at.started, rendered=at.rendered, apart=at.apart)
                for at in addresses
            )
        else:
            pods = gather(addresses, spec.model.name, self._token(seen), seen.trust)
        state = RolloutState.of(seen.status.get("rollout"))
        observation = Observation(
            pods=pods,
            replicas=seen.deployment["spec"].get("replicas", 1) if seen.deployment else 1,
            command=seen.annotations.get(COMMAND),
            document=_document(seen.traffic),
            refused=self._refused.get(seen.key, {}),
            failure=_failure(seen, state),
        )
        decision = decide(spec, state, observation, now)
        return Progress(decision, decision.state.dump(), [at for at in addresses if at.name in decision.behind])

    def push(self, seen: Seen, progress: Progress) -> list[Problem]:
        """Put the document to the pods that do not have it; who did not take it."""
        if not progress.pods:
            self._refused.pop(seen.key, None)
            return []
        report = push(progress.decision.traffic, progress.pods, self._token(seen), seen.trust)
        self._refused[seen.key] = report.refused
        told = [f"{name}: {why}" for name, why in sorted({**report.refused, **report.unreachable}.items())]
        if not told:
            return []
        generation = progress.decision.traffic["generation"]
        message = f"traffic of generation {generation} is not in force in {'; '.join(told)}"
        return [Problem(Reason.TRAFFIC_NOT_TAKEN, message)]

    def _token(self, seen: Seen) -> str:
        return self._tokens.of_resource(seen.resource["metadata"]["uid"])


def _address(pod: Any) -> Address:
    return Address(
        name=pod.name,
        uid=pod.uid,
        ip=pod.ip,
        started=datetime.fromisoformat(pod.started),
        rendered=pod.rendered,
        port=SERVICE_PORT,
        admin_port=ADMIN_PORT,
        apart=pod.apart,
        tls=pod.tls,
    )


def _failure(seen: Seen, state: RolloutState) -> str | None:
    """Why a pod will never serve what is being rolled out; the end of an older pod says nothing about it."""
    failed = [pod.failure for pod in seen.pods if pod.rendered == state.awaited and pod.failure]
    return next((f"{failure.reason}: {failure.message}" for failure in failed if failure.permanent), None)


def _document(config_map: Object | None) -> Mapping[str, Any] | None:
    """What the ConfigMap holds, if that is a document."""
    try:
        found = json.loads((config_map or {}).get("data", {})[TRAFFIC_KEY])
        return found if isinstance(found["generation"], int) and isinstance(found["models"], dict) else None
    except (KeyError, TypeError, ValueError):
        return None
