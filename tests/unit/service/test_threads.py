"""Numeric libraries start as many threads as the container has CPUs for, whatever the node has."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from model_service.threads import VARIABLES, cpus, limit_threads

NODE = len(os.sched_getaffinity(0))


def control_group(folder: Path, files: dict[str, str], membership: str) -> float:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{text}\n")
    (folder / "membership").write_text(f"{membership}\n")
    return cpus(folder, folder / "membership")


@pytest.mark.parametrize(
    ("files", "membership", "limit"),
    [
        ({"cpu.max": "50000 100000"}, "0::/", 0.5),
        ({"cpu.max": "max 100000"}, "0::/", NODE),
        ({"pod/one/cpu.max": "25000 100000", "cpu.max": "max 100000"}, "0::/pod/one", 0.25),
        ({"cpu/cpu.cfs_quota_us": "75000", "cpu/cpu.cfs_period_us": "100000"}, "3:cpu,cpuacct:/", 0.75),
        ({"cpu/a/cpu.cfs_quota_us": "1000", "cpu/a/cpu.cfs_period_us": "10000"}, "2:memory:/b\n1:cpuacct,cpu:/a", 0.1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, "1:cpu:/", NODE),
        ({"cpu.max": "9900000 100000"}, "0::/", NODE),
        ({}, "nonsense", NODE),
    ],
    ids=["v2", "v2 unlimited", "v2 nested", "v1", "v1 nested", "v1 unlimited", "more than the node has", "none"],
)
def test_the_limit_is_the_control_groups(tmp_path: Path, files: dict[str, str], membership: str, limit: float) -> None:
    assert control_group(tmp_path, files, membership) == pytest.approx(limit)


@pytest.mark.parametrize(("workers", "threads"), [(1, NODE), (NODE, 1), (100 * NODE, 1)])
def test_workers_share_the_cpus(workers: int, threads: int) -> None:
    environment: dict[str, str] = {}
    assert limit_threads(workers, environment) <= threads
    assert set(environment) == set(VARIABLES)
    assert len(set(environment.values())) == 1


def test_what_the_user_set_wins() -> None:
    environment = {"OMP_NUM_THREADS": "3"}
    limit_threads(100 * NODE, environment)
    assert environment == dict.fromkeys(VARIABLES, "1") | {"OMP_NUM_THREADS": "3"}


PROGRAM = """
import json
from model_service.threads import limit_threads
limit_threads(10_000)
import numpy, scipy.linalg, sklearn.ensemble
from threadpoolctl import threadpool_info
print(json.dumps({pool["user_api"]: pool["num_threads"] for pool in threadpool_info()}))
"""


@pytest.mark.parametrize(("given", "openmp"), [({}, 1), ({"OMP_NUM_THREADS": "3"}, 3)], ids=["limited", "user's"])
def test_the_libraries_follow(given: dict[str, str], openmp: int) -> None:
    clean = {name: text for name, text in os.environ.items() if name not in VARIABLES}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=clean | given, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == {"blas": 1, "openmp": openmp}


def test_start_server_imports_no_numeric_library_before_it_has_set_their_threads() -> None:
    script = "import sys, model_service.__main__; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
