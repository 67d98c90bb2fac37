"""Killed workers, deleted pods, a slow request during a stop: what fails is told at once, and as little as can be."""

import http.client
import json
import time
from collections.abc import Callable
from threading import Thread
from typing import Any

from support.cluster import Bucket, Namespace, wait_for
from support.load import Load

KILL = """
import os, pathlib, signal
workers = [int(p.name) for p in pathlib.Path("/proc").iterdir() if p.name.isdigit()
           and (p / "stat").read_text().rsplit(")", 1)[1].split()[1] == "1" and int(p.name) != os.getpid()]
workers = [pid for pid in workers if b"model_service" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()]
for pid in sorted(workers)[:1]: os.kill(pid, signal.SIGKILL)
print(len(workers))
"""


def test_killed_workers_fail_fast_and_come_back(
    namespace: Namespace, bucket: Bucket, packed: Callable[[str], Any], values: Any, row: Any
) -> None:
    bundle = packed("1")
    given = values(bucket.upload(bundle.path, "killed/1"), bundle.digest, config={"workers": 2})
    namespace.helm("install", "killed", given, "--wait", "--timeout=180s")
    (pod,) = namespace.ready_pods("killed")
    load = Load(f"{namespace.url('killed')}/predict", row)
    with load.running():
        wait_for(lambda: load.sent > 50, "the load")
        for _ in range(4):
            assert namespace.execute(pod, KILL).strip() == "2"
            wait_for(lambda: workers(namespace, pod)["live"] == 2, "two live workers", patience=60)
            time.sleep(1)
    print(f"\nfigure: 4 workers killed {dict(load.outcomes)}; slowest failure {load.slowest_failure:.2f} s")
    # What a dead worker held is lost: a connection each at most, and told at once.
    assert sum(load.failures.values()) <= 4 * load.connections
    assert load.slowest_failure < 2
    assert namespace.pods("killed")[0]["status"]["containerStatuses"][0]["restartCount"] == 0
    namespace.helm("uninstall", "killed")


def workers(namespace: Namespace, pod: str) -> dict[str, float]:
    """Workers of a pod by state, as its metrics tell."""
    lines = [line for line in namespace.raw(pod, "/metrics").splitlines() if line.startswith("service_workers{")]
    return {line.split('"')[1]: float(line.rpartition(" ")[2]) for line in lines}


def test_deleted_pods_are_not_missed(
    namespace: Namespace, bucket: Bucket, packed: Callable[[str], Any], values: Any, row: Any
) -> None:
    bundle = packed("1")
    given = values(bucket.upload(bundle.path, "deleted/1"), bundle.digest, replicaCount=2)
    namespace.helm("install", "deleted", given, "--wait", "--timeout=180s")
    load = Load(f"{namespace.url('deleted')}/predict", row)
    with load.running():
        wait_for(lambda: load.sent > 50, "the load")
        for _ in range(3):
            namespace.kubectl("delete", "pod", namespace.ready_pods("deleted")[0], "--wait=false")
            wait_for(lambda: len(namespace.ready_pods("deleted")) == 2, "two ready pods")
    print(f"\nfigure: 3 pods deleted {dict(load.outcomes)}")
    assert load.failures == {}
    namespace.helm("uninstall", "deleted")


def test_a_slow_request_is_finished_before_the_pod_goes(
    namespace: Namespace, bucket: Bucket, packed: Callable[[str], Any], values: Any, row: Any
) -> None:
    bundle = packed("1")
    drain = {"delaySeconds": 4, "requestTimeoutSeconds": 20}
    namespace.helm(
        "install", "slow", values(bucket.upload(bundle.path, "slow/1"), bundle.digest, drain=drain), "--wait"
    )
    (pod,) = namespace.ready_pods("slow")
    body = json.dumps(row).encode()
    connection = http.client.HTTPConnection(namespace.url("slow").removeprefix("http://"), timeout=40)
    connection.putrequest("POST", "/predict")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body[:10])
    deleting = Thread(target=namespace.kubectl, args=("delete", "pod", pod))
    started = time.monotonic()
    deleting.start()
    time.sleep(12)  # the request is under way all through the drain
    connection.send(body[10:])
    answer = connection.getresponse()
    seconds = time.monotonic() - started
    assert (answer.status, answer.headers["Connection"]) == (200, "close")
    deleting.join()
    gone = time.monotonic() - started
    print(f"\nfigure: a request of {seconds:.0f} s outlived a drain of 4 s; the pod was gone after {gone:.0f} s")
    namespace.helm("uninstall", "slow")
