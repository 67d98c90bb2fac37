"""Leader election with a Lease: of several operators one acts, and none acts on a Lease that it may have lost.

The protocol of client-go: the holder renews `renewTime`; another takes over when `renewTime` has not changed for
`leaseDurationSeconds` of its own clock, so clocks need not agree. Writes carry the `resourceVersion` that was read, so
of two who try at once one is refused.
"""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from model_operator.cluster import ApiError, Cluster
from model_operator.kinds import LEASE

log = logging.getLogger(__name__)


class Leadership:
    """One candidate for the Lease at `place`: namespace and name."""

    def __init__(
        self,
        cluster: Cluster,
        place: tuple[str, str],
        identity: str,
        seconds: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._place = place
        self._identity = identity
        self._seconds = seconds
        self._clock = clock
        self._seen: tuple[Any, float] = (None, clock())
        self._renewed = float("-inf")

    @property
    def held(self) -> bool:
        """Whether the Lease is certainly ours: renewed within two thirds of its duration."""
        return self._clock() - self._renewed < self._seconds * 2 / 3

    def attempt(self) -> bool:
        """Take or renew the Lease once; whether it is ours now. A refused or failed call is no."""
        began = self._clock()
        try:
            taken = self._attempt()
        except ApiError as error:
            log.warning("lease %s/%s: %s", *self._place, error)
            return False
        if taken:
            self._renewed = began
        return taken

    def release(self) -> None:
        """Let the next one take over at once."""
        if not self.held:
            return
        self._renewed = float("-inf")
        try:
            lease = self._cluster.get(LEASE, *self._place)
            if lease and lease["spec"].get("holderIdentity") == self._identity:
                self._cluster.replace(LEASE, lease | {"spec": lease["spec"] | {"holderIdentity": ""}})
        except ApiError:
            return

    def _attempt(self) -> bool:
        lease = self._cluster.get(LEASE, *self._place)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        if lease is None:
            namespace, name = self._place
            spec = {"holderIdentity": self._identity, "leaseDurationSeconds": self._seconds,
                    "acquireTime": now, "renewTime": now, "leaseTransitions": 0}  # fmt: skip
            item = {"apiVersion": LEASE.api_version, "kind": LEASE.name, "spec": spec}
            return self._cluster.create(LEASE, item | {"metadata": {"namespace": namespace, "name": name}})
        spec = lease.get("spec", {})
        ours = spec.get("holderIdentity") == self._identity
        if not ours and self._alive(lease, spec):
            return False
        taken = {} if ours else {"acquireTime": now, "leaseTransitions": int(spec.get("leaseTransitions", 0)) + 1}
        fresh = spec | taken | {
            "holderIdentity": self._identity, "renewTime": now, "leaseDurationSeconds": self._seconds,
        }  # fmt: skip
        self._cluster.replace(LEASE, lease | {"spec": fresh})
        return True

    def _alive(self, lease: dict[str, Any], spec: dict[str, Any]) -> bool:
        """Whether somebody else's Lease was renewed within its duration, as this process saw it."""
        version = lease["metadata"]["resourceVersion"]
        if self._seen[0] != version:
            self._seen = (version, self._clock())
        duration = float(spec.get("leaseDurationSeconds", self._seconds))
        return bool(spec.get("holderIdentity")) and self._clock() - self._seen[1] < duration
