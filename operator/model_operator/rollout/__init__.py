"""Progressive rollout of a candidate version: a pure decision, the eyes it has, and the hand that carries it out.

    gather (what pods say) -> decide (pure) -> status, ConfigMap, chart -> push (to each pod)

Stable and candidate live in the same pods: a rollout is one rolling update that brings the candidate, and then nothing
but traffic documents.
"""

from model_operator.rollout.deciding import decide
from model_operator.rollout.pods import Address, Report, gather, push
from model_operator.rollout.spec import Revision, RolloutSpec
from model_operator.rollout.state import Decision, Event, Observation, Pod, RolloutState, Stage

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
    "Stage",
    "decide",
    "gather",
    "push",
]
