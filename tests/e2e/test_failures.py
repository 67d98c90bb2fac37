"""What goes wrong before a pod serves: old pods serve on, the reason is in the status in a minute, a fix heals."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sklearn.ensemble import RandomForestClassifier
from support.cluster import Bucket, Namespace, wait_for
from support.load import Load

from model_artifact import __version__
from modelport import pack

LIMIT = 60.0
GUARDED = """
import http.server
class Guarded(http.server.BaseHTTPRequestHandler):
    def do_GET(self): self.send_response(401); self.end_headers()
    do_HEAD = do_GET
http.server.HTTPServer(("", 8080), Guarded).serve_forever()
"""
RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


@pytest.fixture
def guarded(namespace: Namespace) -> Iterator[str]:
    """A source that lets nobody in."""
    labels = {"app": "guarded"}
    container = {
        "name": "server",
        "image": f"modelport/init-container:{__version__}",
        "command": ["python", "-c", GUARDED],
        "securityContext": RESTRICTED,
    }
    context = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    pod = {"securityContext": context, "containers": [container]}
    namespace.apply(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "guarded", "labels": labels}, "spec": pod},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "guarded"},
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]},
        },
    )
    namespace.kubectl("wait", "pod/guarded", "--for=condition=Ready", "--timeout=60s")
    yield "http://user:wrong@guarded/churn/3"
    namespace.kubectl("delete", "pod,service", "guarded", "--wait=false")


@pytest.fixture
def large(data: Any, tmp_path: Path) -> Any:
    """A bundle of some megabytes."""
    forest = RandomForestClassifier(300, random_state=7).fit(data.data, data.target)
    return pack(forest, data.data, name="large", destination=tmp_path, formats=["onnx"])


@pytest.fixture
def pickled(data: Any, estimator: Any, tmp_path: Path) -> Any:
    """A bundle that holds nothing but a pickle."""
    return pack(estimator, data.data, name="pickled", destination=tmp_path, formats=["joblib"])


@pytest.fixture
def faults(guarded: str, large: Any, pickled: Any, bucket: Bucket) -> dict[str, dict[str, Any]]:
    """Values of upgrades that cannot work, by the reason that they should give."""
    small = {"emptyDir": {"medium": "Memory", "sizeLimit": "100Ki"}}
    sklearn = {"repository": "modelport/service-sklearn", "tag": __version__}
    return {
        "AccessDenied": {"model": {"uri": guarded}},
        "DiskFull": {"model": {"uri": bucket.upload(large.path, "large/1")}, "initContainer": {"volume": small}},
        "MODELPORT_ALLOW_PICKLE": {"model": {"uri": bucket.upload(pickled.path, "pickled/1")}, "image": sklearn},
    }


def test_each_fault_tells_its_reason_and_costs_no_request(
    namespace: Namespace,
    bucket: Bucket,
    packed: Callable[[str], Any],
    values: Any,
    row: Any,
    faults: dict[str, dict[str, Any]],
) -> None:
    bundle = packed("1")
    good = values(bucket.upload(bundle.path, "faulty/1"), bundle.digest)
    namespace.helm("install", "faulty", good, "--wait")
    load = Load(f"{namespace.url('faulty')}/predict", row)
    told = {}
    with load.running():
        for reason, fault in faults.items():
            namespace.helm("upgrade", "faulty", merged(good, fault))
            told[reason] = wait_for(
                lambda reason=reason: reason in namespace.messages("faulty"), f"the reason {reason}", patience=LIMIT
            )
            namespace.helm("upgrade", "faulty", good, "--wait")
            wait_for(lambda: len(namespace.pods("faulty")) == 1, "the end of the rollout")
    shown = ", ".join(f"{reason} {seconds:.0f} s" for reason, seconds in told.items())
    print(f"\nfigure: reason in the status after: {shown}; meanwhile {dict(load.outcomes)}")
    assert load.failures == {}
    namespace.helm("uninstall", "faulty")


def merged(good: dict[str, Any], fault: dict[str, Any]) -> dict[str, Any]:
    """The good values with those of a fault; the model is another one, so its pin goes."""
    container = good["initContainer"] | fault.get("initContainer", {})
    return good | {"model": fault["model"], "initContainer": container, "image": fault.get("image", good["image"])}
