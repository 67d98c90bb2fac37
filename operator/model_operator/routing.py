"""Which pods the Service leads to while there are two Deployments: the first one's, both, or the second one's. Pure.

A selector is all it takes, so it needs no render of the chart: a candidate loses its traffic whatever else is wrong.
"""

from collections.abc import Mapping

from model_operator.gathering import Seen
from model_operator.kinds import APART, LABEL
from model_operator.rollout import RolloutState, Route


def selector(seen: Seen, state: RolloutState) -> Mapping[str, str] | None:
    """The Service's selector; None before the first Deployment is there: the chart's own."""
    route = state.apart.route if state.apart else Route.STABLE
    if route is Route.STABLE:
        labels: Mapping[str, str] | None = seen.deployment and seen.deployment["spec"]["selector"]["matchLabels"]
        return labels
    everyone = {LABEL: seen.key[1]}
    return everyone | {APART: "true"} if route is Route.CANDIDATE else everyone
