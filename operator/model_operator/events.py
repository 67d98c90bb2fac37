"""Events of a resource, for `kubectl describe`: what turned in its conditions, and what its rollout did."""

import logging
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from model_operator.cluster import MANAGER, ApiError, Cluster, Object
from model_operator.conditions import TRUE
from model_operator.kinds import EVENT, MODEL_DEPLOYMENT
from model_operator.rollout import Event

log = logging.getLogger(__name__)

TOLD_WHEN_TRUE = {"Degraded": "Warning", "Available": "Normal"}
"""Type of the event by condition; whatever is wrong is a reason to be degraded."""
MESSAGE_LIMIT = 1000


class Events:
    """Writes them; one that cannot be written is logged and forgotten, for events are for people only."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def tell(self, resource: Object, events: Sequence[Event]) -> None:
        """What a rollout did."""
        for event in events:
            self._post(resource, event.type, event.reason, event.message)

    def turned(self, resource: Object, before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> None:
        """A resource that has become degraded, or for another reason, or that has become available."""
        old = {each["type"]: (each["status"], each["reason"]) for each in before}
        for condition in after:
            kind, now = condition["type"], (condition["status"], condition["reason"])
            if kind in TOLD_WHEN_TRUE and now[0] == TRUE and now != old.get(kind):
                self._post(resource, TOLD_WHEN_TRUE[kind], condition["reason"], condition["message"])

    def _post(self, resource: Object, kind: str, reason: str, message: str) -> None:
        meta, now = resource["metadata"], datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        log.info("%s/%s: %s: %s", meta["namespace"], meta["name"], reason, message)
        involved = {
            "apiVersion": MODEL_DEPLOYMENT.api_version, "kind": MODEL_DEPLOYMENT.name, "namespace": meta["namespace"],
            "name": meta["name"], "uid": meta["uid"],
        }  # fmt: skip
        item = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"namespace": meta["namespace"], "name": f"{meta['name']}.{uuid.uuid4().hex[:16]}"},
            "involvedObject": involved,
            "type": kind,
            "reason": reason,
            "message": message[:MESSAGE_LIMIT],
            "source": {"component": MANAGER},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        try:
            self._cluster.create(EVENT, item)
        except ApiError as error:
            log.warning("an event could not be written: %s", error)
