"""A small cluster to roll out in: pods that render, restart, count and refuse, and an operator that can be killed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from model_operator.rollout import Decision, Event, Observation, Pod, RolloutSpec, RolloutState, Route, decide
from model_operator.rollout.spec import Revision

START = datetime(2026, 1, 1, tzinfo=UTC)
STEPS = ({"weight": 10, "pauseSeconds": 4}, {"weight": 50, "pauseSeconds": 4}, {"weight": 100, "pauseSeconds": 4})
KILLS = ("before the status", "after the status", "after the routing", "after the ConfigMap", "after the render")


def model(version: str, content: str = "") -> dict[str, str]:
    """`spec.model` of a version."""
    digest = f"sha256:{(content or version)[0] * 64}"
    return {"name": "churn", "version": version, "uri": f"gs://models/churn/{version}", "digest": digest}


def resource(version: str = "1", content: str = "", **fields: Any) -> dict[str, Any]:
    """`spec` of a ModelDeployment; keywords replace the fields of `rollout`, or `shadow`; `image` is a tag."""
    shadow, image = fields.pop("shadow", None), fields.pop("image", "")
    rollout = {"steps": list(STEPS), "analysis": {"minRequests": 10, "maxWaitSeconds": 60}} | fields
    given = {"shadow": shadow, "image": {"tag": image} if image else None}
    named = {name: value for name, value in given.items() if value}
    return {"model": model(version, content), "replicas": 2, "rollout": rollout} | named


@dataclass
class FakePod:
    """One pod: what it was rendered with, the document in force, and what it counted."""

    uid: str
    started: datetime
    rendered: tuple[Revision, ...]
    fingerprint: str
    document: Mapping[str, Any]
    counts: dict[str, dict[str, float]] = field(default_factory=dict)
    shifts: dict[str, float] = field(default_factory=dict)
    reachable: bool = True
    apart: bool = False
    """Of the candidate's own Deployment: nobody gives it a document."""

    @property
    def versions(self) -> set[str]:
        """What it can serve."""
        return {revision.version for revision in self.rendered}

    def put(self, document: Mapping[str, Any], broken: set[str]) -> str:
        """Take a document; returns why not."""
        if document["generation"] < self.document["generation"]:
            return "generation is behind"
        wanted = {v for entry in document["models"].values() for v in entry["pinned"]}
        if missing := wanted - self.versions:
            return f"unknown: {missing}"
        if wanted & broken:
            return f"cannot be served: {wanted & broken}"
        self.document = document
        return ""

    def copied(self, version: str) -> float:
        """Percent of the requests whose copies a version gets here."""
        entries = self.document["models"].values()
        return float(sum(e["shadow"]["percent"] for e in entries if e.get("shadow", {}).get("version") == version))

    def share(self, version: str) -> float:
        """Percent of the traffic that a version has here."""
        for entry in self.document["models"].values():
            return float(entry.get("weights", {entry["default"]: 100}).get(version, 0))
        return 100.0 if version == self.rendered[0].version else 0.0

    def count(self, version: str, name: str, amount: float = 1) -> None:
        """Add to a counter."""
        found = self.counts.setdefault(version, {})
        found[name] = found.get(name, 0) + amount

    def seen(self) -> Pod:
        """As the operator sees it."""
        known: dict[str, Any] = {
            "name": self.uid,
            "uid": self.uid,
            "started": self.started,
            "rendered": self.fingerprint,
            "apart": self.apart,
        }
        if not self.reachable:
            return Pod(**known, problem="it does not answer")
        counts = {version: dict(found) for version, found in self.counts.items()}
        return Pod(**known, generation=self.document["generation"], counts=counts, shifts=dict(self.shifts))


class World:
    """A cluster with one ModelDeployment; `turn` is one pass of its operator."""

    def __init__(self, spec: Mapping[str, Any], replicas: int = 2) -> None:
        self.spec, self.replicas = dict(spec), replicas
        self.now = START
        self.status: dict[str, Any] = {}
        self.document: Mapping[str, Any] | None = None
        self.rendered: tuple[Revision, ...] = ()
        self.fingerprint = ""
        self.own: tuple[int, Revision | None, str] = (0, None, "")
        """Number, version and fingerprint of the pods of a second Deployment."""
        self.route = Route.STABLE
        self.pods: list[FakePod] = []
        self.command: str | None = None
        self.refused: dict[str, str] = {}
        self.failure: str | None = None
        self.broken: set[str] = set()
        self.events: list[Event] = []
        self.decisions: list[Decision] = []
        self._made = 0

    @property
    def state(self) -> RolloutState:
        """What the status holds."""
        return RolloutState.of(self.status)

    @property
    def reasons(self) -> list[str]:
        """Of all events."""
        return [event.reason for event in self.events]

    @property
    def weights(self) -> dict[str, int]:
        """The shares of the traffic, in percent."""
        return dict(self.state.shares)

    @property
    def behind_service(self) -> list[FakePod]:
        """Pods that get requests."""
        wanted = {Route.STABLE: {False}, Route.BOTH: {False, True}, Route.CANDIDATE: {True}}[self.route]
        return [pod for pod in self.pods if pod.apart in wanted]

    @property
    def common(self) -> list[FakePod]:
        """Pods of the first Deployment."""
        return [pod for pod in self.pods if not pod.apart]

    def turn(self, seconds: float = 2, kill: str | None = None) -> Decision:
        """Look, decide and carry it out, but for what comes after the operator's end."""
        self.now += timedelta(seconds=seconds)
        seen = Observation(
            pods=tuple(pod.seen() for pod in self.pods),
            replicas=self.replicas,
            command=self.command,
            document=self.document,
            refused=self.refused,
            failure=self.failure,
        )
        self.refused = {}
        decision = decide(RolloutSpec.of(self.spec), self.state, seen, self.now)
        done = KILLS.index(kill) if kill else len(KILLS)
        if done > 0:
            self.status = merged(self.status, decision.state.dump())
            self.events += decision.events
            self.decisions.append(decision)
        if done > 1:
            self._lead(decision.state)
        if done > 2:
            self.document = decision.traffic
        if done > 3:
            self._render(decision.state)
        if done > 4:
            self._push(decision)
        return decision

    def _lead(self, state: RolloutState) -> None:
        self.route = state.apart.route if state.apart else Route.STABLE
        self.own = self.own if state.apart else (0, None, "")

    def _render(self, state: RolloutState) -> None:
        self.rendered, self.fingerprint = state.rendered, state.fingerprint
        self.own = (state.apart.replicas if state.apart else 0, state.alone, state.own_fingerprint)

    def _push(self, decision: Decision) -> None:
        for pod in self.pods:
            if pod.uid in decision.behind and pod.reachable and (why := pod.put(decision.traffic, self.broken)):
                self.refused[pod.uid] = why

    def roll(self) -> None:
        """Finish the rolling update: pods that are not as they are rendered now are replaced."""
        kept = [pod for pod in self.common if pod.fingerprint == self.fingerprint][: self.replicas]
        count, _, fingerprint = self.own
        own = [pod for pod in self.pods if pod.apart and pod.fingerprint == fingerprint][:count]
        self.pods = kept + [self._new() for _ in range(self.replicas - len(kept))]
        self.pods += own + [self._new_own() for _ in range(count - len(own))]

    def replace(self, index: int) -> None:
        """One pod goes, another comes, as it is rendered now."""
        if not self.pods[index].apart:
            self.pods[index] = self._new()
        elif self.own[0]:
            self.pods[index] = self._new_own()
        else:
            del self.pods[index]

    def restart(self, index: int) -> None:
        """The container of a pod restarts: its counters begin anew, and it reads the ConfigMap."""
        pod = self.pods[index]
        pod.counts = {}
        if not pod.apart:
            pod.put(self.document or {"generation": 0, "models": {}}, self.broken)

    def _new(self) -> FakePod:
        self._made += 1
        pod = FakePod(f"pod-{self._made}", self.now, self.rendered, self.fingerprint, {"generation": 0, "models": {}})
        if self.document:
            pod.put(self.document, self.broken)
        return pod

    def _new_own(self) -> FakePod:
        self._made += 1
        _, revision, fingerprint = self.own
        assert revision is not None
        nothing: Mapping[str, Any] = {"generation": 0, "models": {}}
        return FakePod(f"own-{self._made}", self.now, (revision,), fingerprint, nothing, apart=True)

    def serve(
        self, requests: int = 100, failing: frozenset[str] = frozenset(), slow: frozenset[str] = frozenset()
    ) -> None:
        """Requests to every pod behind the Service, shared as its document says."""
        for pod in self.behind_service:
            for version in pod.versions:
                outcome = "failed" if version in failing else "ok"
                pod.count(version, f"shadow/{outcome}", round(requests * pod.copied(version) / 100))
                answered = round(requests * pod.share(version) / 100)
                pod.count(version, f"answers/{outcome}", answered)
                for bound in ("0.01", "0.1", "1"):
                    pod.count(version, f"latency/{bound}", answered * (bound == ("1" if version in slow else "0.01")))

    def until(self, *phases: str, turns: int = 60, **served: Any) -> int:
        """Go on with traffic until a phase is reached; returns how many turns that took."""
        for count in range(turns):
            if self.state.phase in phases:
                return count
            self.turn()
            self.roll()
            self.serve(**served)
        assert self.state.phase in phases, f"{self.state.phase}: {self.state.message}"
        return turns


def merged(before: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """What an API server makes of a JSON merge patch (RFC 7396)."""
    result = {name: value for name, value in before.items() if patch.get(name, ...) is not None}
    for name, value in patch.items():
        if isinstance(value, Mapping):
            old = result.get(name)
            result[name] = merged(old if isinstance(old, Mapping) else {}, value)
        elif value is not None:
            result[name] = value
    return result


def started(version: str = "1", **fields: Any) -> World:
    """A cluster in which the first version serves."""
    world = World(resource(version, **fields))
    world.turn()
    world.roll()
    world.turn()
    assert world.state.proven
    return world
