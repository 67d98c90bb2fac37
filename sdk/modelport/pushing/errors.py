"""Why a push failed, where pushing has more to tell than deliveries in general do."""

from model_artifact.delivery import RefusedByPolicy


class Taken(RefusedByPolicy):
    """The place holds other content."""
