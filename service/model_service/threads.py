"""How many threads numeric libraries may start: the container's CPU limit shared out among the workers.

They count the cores of the node, which a container does not have, and a worker with more threads than CPU time is
throttled. The variables are read when the libraries are first imported, so they are set before; what the user has set
is kept.
"""

import math
import os
from collections.abc import MutableMapping
from pathlib import Path

VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "LOKY_MAX_CPU_COUNT",
)
CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def limit_threads(workers: int, environment: MutableMapping[str, str] = os.environ) -> int:
    """Set the variables that are not set yet; returns the threads a worker may start."""
    threads = max(1, math.floor(cpus() / workers))
    for name in VARIABLES:
        environment.setdefault(name, str(threads))
    return threads


def cpus(cgroups: Path = CGROUPS, membership: Path = MEMBERSHIP) -> float:
    """CPUs that this process may use: the smaller of its affinity and its control groups' limits.

    Args:
        cgroups: where control groups of version 2, or each controller's of version 1, are mounted.
        membership: lines of `id:controllers:path`, see cgroups(7).
    """
    own = {fields[1]: fields[2].lstrip("/") for line in _lines(membership) if len(fields := line.split(":", 2)) == 3}
    v1 = next((path for controllers, path in own.items() if "cpu" in controllers.split(",")), "")
    limits = [_version_2(cgroups / path) for path in {"", own.get("", "")}]
    limits += [_version_1(cgroups / "cpu" / path) for path in {"", v1}]
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([float(affinity), *(limit for limit in limits if limit is not None)])


def _version_2(group: Path) -> float | None:
    quota, _, period = "".join(_lines(group / "cpu.max")).partition(" ")
    return int(quota) / int(period) if quota not in {"", "max"} else None


def _version_1(group: Path) -> float | None:
    quota, period = ("".join(_lines(group / name)) for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us"))
    return int(quota) / int(period) if quota and period and int(quota) > 0 else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except OSError:
        return []
