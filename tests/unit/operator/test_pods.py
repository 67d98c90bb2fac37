"""What pods tell: the reason and the last line of whatever stopped them."""

import json
from typing import Any

import pytest

from model_operator.pods import Failure, failure_of_pod, read_pods

TOLD = {"reason": "NotFound", "uri": "gs://a/b", "identity": "nobody", "message": "gs://a/b holds no model"}


def ended(code: int, message: str = "", reason: str = "Error") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "message": message, "reason": reason}}


def pod(
    *, fetch: Any = None, service: Any = None, conditions: dict[str, Any] | None = None, **meta: Any
) -> dict[str, Any]:
    status: dict[str, Any] = {
        "podIP": "10.0.0.1",
        "startTime": "2026-01-01T00:00:00Z",
        "conditions": [{"type": kind, **found} for kind, found in (conditions or {}).items()],
    }
    if fetch is not None:
        status["initContainerStatuses"] = [{"name": "fetch", **fetch}]
    if service is not None:
        status["containerStatuses"] = [{"name": "service", **service}]
    return {"metadata": {"name": "a", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"} | meta, "status": status}


def failure(**given: Any) -> Failure | None:
    (read,) = read_pods([pod(**given)])
    return read.failure


def test_a_ready_pod_has_no_failure_whatever_it_went_through() -> None:
    (read,) = read_pods([pod(service={"lastState": ended(1)}, conditions={"Ready": {"status": "True"}})])
    assert (read.ready, read.failure, read.ip) == (True, None, "10.0.0.1")


def test_pods_that_go_away_do_not_count_and_the_oldest_is_first() -> None:
    older = pod(name="b", creationTimestamp="2025-01-01T00:00:00Z")
    leaving = pod(name="c", deletionTimestamp="2026-01-01T00:00:00Z")
    assert [each.name for each in read_pods([pod(), older, leaving])] == ["b", "a"]


def test_annotations_tell_the_revision() -> None:
    annotations = {"modelport.dev/revision": "3-abc", "modelport.dev/rendered": "f00"}
    (read,) = read_pods([pod(annotations=annotations)])
    assert (read.revision, read.rendered) == ("3-abc", "f00")


@pytest.mark.parametrize("where", ["state", "lastState"])
def test_the_fetcher_tells_why(where: str) -> None:
    found = failure(fetch={where: ended(11, json.dumps(TOLD))})
    assert found == Failure("fetch", "NotFound", "gs://a/b holds no model", permanent=True)


@pytest.mark.parametrize(
    ("fetch", "reason", "message", "permanent"),
    [
        (ended(12, json.dumps(TOLD | {"reason": "Unreachable"})), "Unreachable", "gs://a/b holds no model", False),
        (ended(1, "Traceback\n  a line\nKeyError: 3\n"), "FetchFailed", "KeyError: 3", False),
        (ended(1, "[]"), "FetchFailed", "[]", False),
        (ended(15), "FetchFailed", "container fetch ended with exit code 15", True),
        (ended(137, reason="OOMKilled"), "OOMKilled", "container fetch took more than its memory limit", False),
    ],
)
def test_other_ends_of_the_fetcher(fetch: Any, reason: str, message: str, permanent: bool) -> None:
    assert failure(fetch={"state": fetch}) == Failure("fetch", reason, message, permanent)


@pytest.mark.parametrize(
    ("code", "reason", "permanent"), [(3, "LoadFailed", True), (1, "Crashed", False), (0, "Crashed", False)]
)
def test_the_service_tells_why(code: int, reason: str, permanent: bool) -> None:
    found = failure(fetch={"state": ended(0)}, service={"lastState": ended(code, "a golden row is answered wrong")})
    assert found == Failure("service", reason, "a golden row is answered wrong", permanent)


def test_an_image_that_cannot_be_had() -> None:
    found = failure(fetch={"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such tag"}}})
    assert found == Failure("fetch", "ImagePullBackOff", "no such tag")


def test_starting_is_no_failure() -> None:
    assert failure(fetch={"state": {"waiting": {"reason": "PodInitializing"}}}) is None


def test_no_node_has_room() -> None:
    lacking = {"status": "False", "reason": "Unschedulable", "message": "0/3 nodes: insufficient cpu"}
    assert failure(conditions={"PodScheduled": lacking}) == Failure(
        "pod", "Unschedulable", "0/3 nodes: insufficient cpu"
    )


def test_a_message_is_bounded() -> None:
    found = failure(service={"state": ended(3, "x" * 9999)})
    assert found is not None
    assert len(found.message) == 1024


def test_the_one_container_of_a_pod_that_looks_at_a_source() -> None:
    asking = pod()
    asking["status"]["containerStatuses"] = [{"name": "fetch", "state": ended(10, json.dumps(TOLD))}]
    found = failure_of_pod(asking)
    assert found is not None
    assert found.message == TOLD["message"]
