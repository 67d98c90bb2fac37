"""One trace from the client through the server to the model, and nothing changes when the collector is gone."""

import json
import os
import secrets
import time
from collections.abc import Callable
from typing import Any

import urllib3
from support.cluster import Bucket, Namespace, run, wait_for

RELEASE = "traced"
COLLECTOR = ("--namespace", "modelport-dev", "deployment/otel-collector")


def test_a_trace_reaches_the_collector_and_its_loss_costs_nothing(
    namespace: Namespace, bucket: Bucket, packed: Callable[[str], Any], values: Any, row: Any
) -> None:
    bundle = packed("1")
    tracing = {"enabled": True, "endpoint": os.environ["CLUSTER_OTLP_POD_URL"]}
    given = values(bucket.upload(bundle.path, "traced/1"), bundle.digest, tracing=tracing)
    namespace.helm("install", RELEASE, given, "--wait", "--timeout=180s")
    url = f"{namespace.url(RELEASE)}/predict"
    trace_id = secrets.token_hex(16)
    headers = {"traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01"}
    assert urllib3.request("POST", url, json=row, headers=headers).status == 200

    def spans() -> int:
        return run("kubectl", "logs", "--tail=2000", *COLLECTOR).count(trace_id)

    arrived = wait_for(lambda: spans() >= 2, "both spans at the collector", patience=60)
    pod = namespace.ready_pods(RELEASE)[0]
    lines = [json.loads(line) for line in namespace.kubectl("logs", pod).splitlines()]
    assert [line["path"] for line in lines if line.get("trace_id") == trace_id] == ["/predict"]
    print(f"\nfigure: server and model span at the collector after {arrived:.1f} s, the same trace id in the log")

    before = latencies(url, row)
    run("kubectl", "scale", *COLLECTOR, "--replicas=0")
    try:
        after = latencies(url, row)
    finally:
        run("kubectl", "scale", *COLLECTOR, "--replicas=1")
    print(f"figure: median of 200 requests {before * 1000:.2f} ms with the collector, {after * 1000:.2f} ms without")


def latencies(url: str, row: Any) -> float:
    """Median seconds of 200 requests, every one a 200."""
    seconds = []
    with urllib3.PoolManager(maxsize=1, retries=False) as pool:
        for _ in range(200):
            started = time.perf_counter()
            assert pool.request("POST", url, json=row).status == 200
            seconds.append(time.perf_counter() - started)
    return sorted(seconds)[len(seconds) // 2]
