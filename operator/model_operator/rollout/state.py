"""What a rollout remembers (all of it in `status.rollout`), what it is shown, and what it answers."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import ConfigDict

from model_operator.rollout.counts import NOTHING, Counts
from model_operator.rollout.criteria import Measure
from model_operator.rollout.spec import Record, Revision

Document = Mapping[str, Any]
NO_DOCUMENT: Document = {"generation": 0, "models": {}}


class Stage(StrEnum):
    """Where a rollout is; `ACTIVE` ones have a candidate under way."""

    IDLE = "Idle"
    """Nothing to do: the target is the stable revision."""
    PREPARING = "Preparing"
    """One rolling update brings the candidate to every pod."""
    LOADING = "Loading"
    """Every pod loads and proves it, without traffic."""
    SHADOWING = "Shadowing"
    """It answers copies of requests."""
    STEPPING = "Stepping"
    """It answers its step's share."""
    PROMOTING = "Promoting"
    """In pods of its own: they come to all of the traffic, and then the first Deployment takes its image."""
    PROMOTED = "Promoted"
    """It is the stable revision now."""
    ABORTED = "Aborted"
    """All traffic is the stable revision's; nothing happens until the target changes or somebody says resume."""


ACTIVE = frozenset({Stage.PREPARING, Stage.LOADING, Stage.SHADOWING, Stage.STEPPING, Stage.PROMOTING})


class Route(StrEnum):
    """Which pods the Service leads to."""

    STABLE = "stable"
    BOTH = "both"
    CANDIDATE = "candidate"


class Apart(Record):
    """The Deployment of a candidate whose image is not the stable version's."""

    replicas: int = 1
    route: Route = Route.STABLE
    share: int = 0
    """Percent of the requests that it gets, as far as numbers of pods can say it."""
    complete: datetime | None = None
    """Since when all of its pods are ready; None while some are missing."""
    least: int | None = None
    """Pods that the stable version had at the beginning; so many are needed, also while they look idle."""


FRESH: Mapping[str, Any] = {
    "paused": False, "approval": False, "reason": "", "message": "", "counts": {}, "analysis": {},
}  # fmt: skip
"""How a stage or step begins."""

SHOWN = {"answers": "answers/ok", "failed": "answers/failed", "refused": "answers/invalid", "copies": "shadow/ok"}
"""Counts that the status shows, by their names there."""


class RolloutState(Record):
    """Everything that survives the operator's end."""

    model_config = ConfigDict(extra="ignore")  # what another release of the operator remembered

    stage: Stage = Stage.IDLE
    step: int = 0
    """Of `rollout.steps`, from 0, while stepping."""
    since: datetime | None = None
    """When the stage or the step began."""
    paused: bool = False
    approval: bool = False
    """The step is passed; it waits for somebody to resume."""
    reason: str = ""
    message: str = ""
    stable: Revision | None = None
    """The last promoted one."""
    proven: bool = False
    """A pod was ready with it: from then on only a promotion takes its place."""
    candidate: Revision | None = None
    """Under way or aborted."""
    rendered: tuple[Revision, ...] = ()
    """What the pods are rendered with, the chart's `model` first."""
    before: tuple[Revision, ...] = ()
    """What they were rendered with when all of them had come up."""
    traffic: Document = NO_DOCUMENT
    apart: Apart | None = None
    """While the candidate has a Deployment of its own; after a promotion, until the first one has its image."""
    command: str = ""
    """The last annotation that was acted on."""
    ignored: str = ""
    """Why that made no sense; empty when it was carried out."""
    analysis: Mapping[str, Measure] = {}
    """The figures of the stage or step, by name."""
    counts: Mapping[str, Counts] = {}
    """Counted since the stage or step began, by version."""
    seen: Mapping[str, Mapping[str, Counts]] = {}
    """The counters as each pod last showed them, by the pod's uid and version; zeros left out."""

    @classmethod
    def of(cls, status: Mapping[str, Any] | None) -> Self:
        """Read `status.rollout`; without a memory it is the beginning.

        Raises:
            pydantic.ValidationError: somebody else wrote it. Beginning anew would promote the target unseen.
        """
        memory = (status or {}).get("memory")
        return cls.model_validate_json(memory) if memory else cls()

    def dump(self) -> dict[str, Any]:
        """As `status.rollout`: what people and programs read of it, and `memory`, all of it as text.

        Fit for a merge patch, which can neither store nulls nor forget entries of a map: it has none of either. As text
        it is also one field to the API server, which keeps a record of who wrote each.
        """
        return {
            "stage": self.phase,
            "step": self.step,
            "since": self.since.isoformat(timespec="seconds") if self.since else "",
            "reason": self.reason,
            "message": self.message,
            "stable": self.stable.version if self.stable else "",
            "candidate": self.candidate.version if self.candidate else "",
            "command": self.command,
            "ignored": self.ignored,
            "versions": [self._row(revision) for revision in (self.stable, self.candidate) if revision],
            "analysis": [{"name": name} | told.model_dump(exclude_none=True) for name, told in self.analysis.items()],
            "memory": self.model_dump_json(by_alias=True),
        }

    def _row(self, revision: Revision) -> dict[str, Any]:
        """A version's share and counts."""
        counts = {title: round(self.counted(revision).get(name, 0)) for title, name in SHOWN.items()}
        return {"version": revision.version, "weight": self.shares.get(revision.version, 0), **counts}

    @property
    def shares(self) -> Mapping[str, int]:
        """Percent of the requests by version, as the document says it or, of two Deployments, numbers of pods."""
        if self.apart and self.stable and self.candidate:
            both = {self.stable.version: 100 - self.apart.share, self.candidate.version: self.apart.share}
            return {version: percent for version, percent in both.items() if percent}
        entry = self.traffic["models"].get(self.stable.name, {}) if self.stable else {}
        shares: Mapping[str, int] = entry.get("weights") or ({entry["default"]: 100} if entry else {})
        return shares

    def entered(self, stage: Stage, now: datetime, step: int = 0, **changes: Any) -> Self:
        """Begin a stage or step: the clock, the counting, and whether to wait begin anew."""
        return self.model_copy(update={**FRESH, "stage": stage, "step": step, "since": now, **changes})

    def elapsed(self, now: datetime) -> float:
        """Seconds since the stage or step began."""
        return max(0.0, (now - (self.since or now)).total_seconds())

    @property
    def fingerprint(self) -> str:
        """Changes with what the pods are rendered with; goes into an annotation of each pod."""
        return _digest([revision.identity for revision in self.rendered])

    @property
    def alone(self) -> Revision | None:
        """What has a Deployment of its own: the candidate, or what it has become."""
        return (self.candidate or self.stable) if self.apart else None

    @property
    def own_fingerprint(self) -> str:
        """The same as `fingerprint` of the pods of that Deployment; empty where there is none."""
        return _digest([self.alone.identity, self.alone.service_image]) if self.alone else ""

    @property
    def awaited(self) -> str:
        """Fingerprint of the pods that bring the candidate."""
        return self.own_fingerprint or self.fingerprint

    @property
    def phase(self) -> str:
        """The stage as people read it."""
        return "Paused" if self.paused and self.stage in ACTIVE else str(self.stage)

    def counted(self, revision: Revision | None) -> Counts:
        """What a revision's version counted since the stage or step began."""
        return self.counts.get(revision.version, NOTHING) if revision else NOTHING


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


class Pod(Record):
    """What one ready pod said."""

    name: str
    uid: str
    started: datetime
    rendered: str = ""
    """The fingerprint of what it was rendered with, from its annotation."""
    apart: bool = False
    """One of the candidate's own Deployment."""
    generation: int = -1
    """Of the traffic document in force; -1 when it did not say."""
    counts: Mapping[str, Counts] = {}
    """By version."""
    shifts: Mapping[str, float] = {}
    """`model_score_shift` by version."""
    problem: str = ""
    """Why it did not say everything."""


class Observation(Record):
    """What there is to decide about."""

    pods: tuple[Pod, ...] = ()
    """The ready ones."""
    replicas: int = 1
    """How many are wanted of the first Deployment."""
    command: str | None = None
    """The annotation, `ACTION[:VERSION][@ID]`."""
    document: Document | None = None
    """What the ConfigMap holds; None when that is no document."""
    refused: Mapping[str, str] = {}
    """Why pods did not take the last document, by the pod's name."""
    failure: str | None = None
    """Why new pods cannot start, where waiting would not help."""

    @property
    def common(self) -> tuple[Pod, ...]:
        """The pods of the first Deployment, which read the traffic document."""
        return tuple(pod for pod in self.pods if not pod.apart)

    @property
    def own(self) -> tuple[Pod, ...]:
        """Those of the candidate's own."""
        return tuple(pod for pod in self.pods if pod.apart)


class Event(Record):
    """Something to tell people."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


class Decision(Record):
    """What is to be done."""

    state: RolloutState
    traffic: Document
    """The whole document that is to be in force in every pod."""
    behind: tuple[str, ...] = ()
    """Names of ready pods in which it is not."""
    events: tuple[Event, ...] = ()
    requeue_seconds: float
