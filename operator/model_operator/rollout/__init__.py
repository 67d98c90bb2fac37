"""Progressive rollout of a candidate version: a pure decision, the eyes it has, and the hand that carries it out.

    gather (what pods say) -> decide (pure) -> status, ConfigMap, chart -> push (to each pod)

Stable and candidate live in the same pods: a rollout is one rolling update that brings the candidate, and then nothing
but traffic documents.
"""

from model_operator.rollout.deciding import decide
from model_operator.rollout.pods import Address, Report, gather, push
from model_operator.rollout.spec import Revision, RolloutSpec
from model_operator.rollout.state import Decision, Event, Observation, Pod, RolloutState, Route, Stage
from model_operator.rollout.wire import Trust, Unanswered, connections, origin

__all__ = [
    "Address",
    "Decision",
    "Event",
    "Observation",
    "Pod",
    "Report",
    "Revision",
    "RolloutSpec",
    "RolloutState",
    "Route",
    "Stage",
    "Trust",
    "Unanswered",
    "connections",
    "decide",
    "gather",
    "origin",
    "push",
]
