"""What this machine or container gives: CPUs, memory, a tmpfs."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from modelport.cli.checks.finding import Context, Finding
from modelport.cli.table import human_size

LEAST_MEMORY = 512 << 20
CGROUP = Path("/sys/fs/cgroup")
HEARTBEAT = Path("/dev/shm")  # noqa: S108 - a tmpfs, where the service keeps its workers' heartbeats


def cpus(context: Context) -> Iterator[Finding]:
    """Are there as many CPUs as workers?"""
    visible = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_limit()
    usable = visible if quota is None else min(visible, quota)
    found = f"{visible} visible, limited to {quota:g} by the container" if quota else f"{visible}"
    workers = context.settings.get("MODELPORT_WORKERS")
    if workers and int(workers.value) > usable:
        yield Finding("warn", "CPUs", f"{found}, for {workers.value} workers", "lower MODELPORT_WORKERS")
    else:
        yield Finding("ok", "CPUs", found)


def memory(_: Context) -> Iterator[Finding]:
    """Is there room for a model library?"""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = memory_limit()
    usable = machine if limit is None else min(machine, limit)
    found = f"{human_size(usable)}{'' if limit is None else ' (limit of the container)'}"
    if usable < LEAST_MEMORY:
        yield Finding("warn", "memory", found, f"give it {human_size(LEAST_MEMORY)} or more")
    else:
        yield Finding("ok", "memory", found)


def heartbeat(_: Context) -> Iterator[Finding]:
    """Can workers tell that they live without waiting for a disk?"""
    if not sys.platform.startswith("linux"):
        return
    if HEARTBEAT.is_dir() and os.access(HEARTBEAT, os.W_OK):
        yield Finding("ok", "heartbeat", f"{HEARTBEAT} is writable")
    else:
        yield Finding("fail", "heartbeat", f"{HEARTBEAT} is not writable", f"mount a tmpfs at {HEARTBEAT}")


def cpu_limit(cgroup: Path = CGROUP) -> float | None:
    """CPUs that the control group allows (version 2 or 1); null without a limit."""
    quota, _, period = _read(cgroup / "cpu.max").partition(" ")
    if not quota:
        quota, period = (_read(cgroup / "cpu" / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None


def memory_limit(cgroup: Path = CGROUP) -> int | None:
    """Bytes that the control group allows (version 2 or 1); null without a limit."""
    text = _read(cgroup / "memory.max") or _read(cgroup / "memory" / "memory.limit_in_bytes")
    unlimited = not text.isdigit() or int(text) > 1 << 60  # version 1 writes "no limit" as a huge number
    return None if unlimited else int(text)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""
