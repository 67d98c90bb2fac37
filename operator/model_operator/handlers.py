"""What kopf watches, and nothing more: each change only says which resource is worth a look.

kopf takes the event loop that it runs in, with its signals and every task, for its own. So it has a thread and a loop
of its own, which end with the process.
"""

import logging
import threading
from collections.abc import Callable, Collection
from typing import Any, cast

import kopf

from model_operator.cluster import MANAGER
from model_operator.kinds import DEPLOYMENT, GROUP, LABEL, MODEL_DEPLOYMENT
from model_operator.metrics import RESOURCES
from model_operator.workqueue import Key

Notice = Callable[[Key], None]
"""Called with the key of a resource that is worth a look."""

log = logging.getLogger(__name__)


def watch(namespaces: Collection[str], notice: Notice, ended: Callable[[], None]) -> threading.Thread:
    """Watch in a thread.

    Args:
        namespaces: none means all.
        notice: called from that thread.
        ended: called from it when watching is over, which it never should be.
    """

    def run() -> None:
        try:
            kopf.run(
                registry=_registry(notice),
                settings=_settings(),
                clusterwide=not namespaces,
                namespaces=list(namespaces),
                standalone=True,
                identity=cast("Any", MANAGER),  # else it asks for the name of the user, which an image need not have
            )
        except Exception:
            log.exception("watching has failed")
        ended()

    thread = threading.Thread(target=run, name="watch", daemon=True)
    thread.start()
    return thread


def _registry(notice: Notice) -> kopf.OperatorRegistry:
    """Watch ModelDeployments and their Deployments; the operator's own writes to the status are no news."""
    registry = kopf.OperatorRegistry()
    asked: dict[Key, Any] = {}

    kopf.on.login(registry=registry)(kopf.login_via_client)

    @kopf.on.event(GROUP, MODEL_DEPLOYMENT.version, MODEL_DEPLOYMENT.plural, registry=registry)
    def resource(namespace: str | None, name: str | None, type: str | None, meta: Any, **_: Any) -> None:  # noqa: A002
        key = (str(namespace), str(name))
        wish = (meta["uid"], meta["generation"], dict(meta.annotations), "deletionTimestamp" in meta)
        news, asked[key] = asked.get(key) != wish, wish
        if type == "DELETED":
            del asked[key]
        RESOURCES.set(len(asked))
        if news or type == "DELETED":
            notice(key)

    @kopf.on.event(
        DEPLOYMENT.group, DEPLOYMENT.version, DEPLOYMENT.plural, registry=registry, labels={LABEL: kopf.PRESENT}
    )
    def deployment(namespace: str | None, labels: Any, **_: Any) -> None:
        notice((str(namespace), labels[LABEL]))

    return registry


def _settings() -> kopf.OperatorSettings:
    """Watch streams only: no events, annotations, finalizers or peering of kopf's own."""
    told = kopf.OperatorSettings()
    told.posting.enabled = False
    told.scanning.disabled = True
    told.peering.standalone = True
    told.watching.server_timeout = 300
    told.watching.label_selectors[(DEPLOYMENT.group, DEPLOYMENT.plural)] = LABEL
    return told
