"""Metrics over pods and workers, threads by CPU limit, memory of a large model."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import urllib3
from support.cluster import Bucket, Namespace, run, wait_for
from support.images import bake, write_wide_model

REQUESTS = 500
MODEL_MB = 300
ANSWERED = re.compile(r'^model_request_duration_seconds_count\{.*outcome="ok".*\} (\S+)$', re.MULTILINE)
THREADS = """
import pathlib
from model_service.threads import limit_threads
tasks = [len(list((process / "task").iterdir())) for process in pathlib.Path("/proc").iterdir()
         if process.name.isdigit() and b"model_service" in (process / "cmdline").read_bytes()]
print(limit_threads(2, {}), max(tasks))
"""
PEAK = """
import pathlib
places = ("/sys/fs/cgroup/memory.peak", "/sys/fs/cgroup/memory/memory.max_usage_in_bytes")
print(next(pathlib.Path(place).read_text() for place in places if pathlib.Path(place).exists()))
"""


def test_metrics_over_pods_are_the_requests_that_were_answered(
    namespace: Namespace, bucket: Bucket, packed: Callable[[str], Any], values: Any, row: Any
) -> None:
    bundle = packed("1")
    given = values(bucket.upload(bundle.path, "counted/1"), bundle.digest, replicaCount=2, config={"workers": 2})
    namespace.helm("install", "counted", given, "--wait", "--timeout=180s")
    url = f"{namespace.url('counted')}/predict"
    for _ in range(REQUESTS):  # a connection each, so that every pod and worker gets some
        with urllib3.PoolManager(retries=False) as pool:
            assert pool.request("POST", url, json=row).status == 200
    counts = [
        sum(float(count) for count in ANSWERED.findall(namespace.raw(pod, "/metrics")))
        for pod in namespace.ready_pods("counted")
    ]
    print(f"\nfigure: {REQUESTS} requests answered, counted by the metrics of 2 pods with 2 workers: {counts}")
    assert len(counts) == 2
    assert sum(counts) == REQUESTS
    assert min(counts) > 0
    namespace.helm("uninstall", "counted")


def test_two_workers_share_a_large_model_within_their_limit(namespace: Namespace, values: Any, tmp_path: Path) -> None:
    write_wide_model(tmp_path / "wide.onnx", MODEL_MB)
    run(sys.executable, "-m", "model_fetcher", "--root", str(tmp_path / "root"), str(tmp_path / "wide.onnx"))
    limit_mb = 2 * MODEL_MB + 250
    given = values("", None, config={"workers": 2}) | {
        "model": {"baked": True},
        "image": bake(tmp_path / "root" / "wide" / "1", "wide/1", f"{namespace.name}-wide"),
        "resources": {"requests": {"cpu": "200m", "memory": "128Mi"}, "limits": {"memory": f"{limit_mb}Mi"}},
    }
    namespace.helm("install", "wide", given, "--wait", "--timeout=240s")
    answer = urllib3.request("POST", f"{namespace.url('wide')}/predict", json={"features": [0.5] * 8})
    assert answer.status == 200, answer.data
    (pod,) = namespace.ready_pods("wide")
    peak = int(namespace.execute(pod, PEAK)) / 2**20
    print(f"\nfigure: {MODEL_MB} MB model, 2 workers, limit {limit_mb} MiB: peak {peak:.0f} MiB")
    assert namespace.pods("wide")[0]["status"]["containerStatuses"][0]["restartCount"] == 0
    assert peak < limit_mb
    namespace.helm("uninstall", "wide")


def test_threads_follow_the_cpu_limit(
    namespace: Namespace, bucket: Bucket, packed: Callable[[str], Any], values: Any
) -> None:
    bundle = packed("1")
    given = values(bucket.upload(bundle.path, "threads/1"), bundle.digest, config={"workers": 2})
    figures = []
    for cpus in ("1", "8"):
        given["resources"] = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": cpus, "memory": "1Gi"}}
        namespace.helm("upgrade", "threads", given, "--install", "--wait", "--timeout=180s")
        wait_for(lambda: len(namespace.pods("threads")) == 1, "the end of the rollout")
        allowed, most = namespace.execute(namespace.ready_pods("threads")[0], THREADS).split()
        figures.append(f"limit {cpus} CPU: {allowed} numeric threads a worker, {most} threads in the largest process")
        # A limit of 1 leaves each of two workers one thread; one of 8 leaves what the node has.
        assert int(allowed) == max(1, min(int(cpus), len(os.sched_getaffinity(0))) // 2)
    print(f"\nfigure: {'; '.join(figures)}")
    namespace.helm("uninstall", "threads")
