"""The load: wrk with a Lua script, keep-alive connections, a pool of different bodies; what it prints, as numbers."""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
from benchmarks.serving import cores
from benchmarks.serving.contender import HERE, Ask
from benchmarks.serving.errors import FailedRequests, MissingTool

SCRIPT = HERE / "load.lua"
ERRORS = ("connect", "read", "write", "status", "timeout")


@dataclass(frozen=True)
class Load:
    """What one run of wrk saw."""

    requests: int
    rps: float
    p50_ms: float
    p99_ms: float


def require() -> None:
    """Raise MissingTool unless wrk and taskset are installed."""
    for program, package in (("wrk", "wrk"), ("taskset", "util-linux")):
        if shutil.which(program) is None:
            raise MissingTool(f"{program} is not installed: apt-get install {package}")


def run(url: str, asks: Sequence[Ask], connections: int, seconds: float, folder: Path, workers: int = 1) -> Load:  # noqa: PLR0913, PLR0917
    """Send `asks` in turn for `seconds` from `connections` connections; they share path and headers.

    Raises:
        FailedRequests: any answer was not 2xx, or a connection broke.
    """
    bodies = folder / "bodies.jsonl"
    bodies.write_bytes(b"\n".join(ask.body for ask in asks) + b"\n")
    command = [
        *cores.pinned(cores.asking(workers)), "wrk", "--threads", "1", "--connections", str(connections),
        "--duration", f"{max(1, round(seconds))}s", "--timeout", "30s", "--script", str(SCRIPT),
        url, "--", asks[0].path, str(bodies), *(text for header in asks[0].headers.items() for text in header),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - our own script and address
    if done.returncode:
        raise FailedRequests(f"wrk ended with status {done.returncode}: {done.stderr.decode()[-500:]}")
    return parse(done.stdout)


def parse(output: bytes) -> Load:
    """Read the line that `load.lua` prints last.

    Raises:
        FailedRequests: it counts errors, or no request at all.
    """
    seen = orjson.loads(output.rstrip().rsplit(b"\n", 1)[-1])
    failed = {kind: seen[kind] for kind in ERRORS if seen[kind]}
    if failed or not seen["requests"]:
        raise FailedRequests(f"{seen['requests']} requests, of which failed: {failed or 'none answered'}")
    return Load(seen["requests"], seen["requests"] / seen["us"] * 1e6, seen["p50_us"] / 1e3, seen["p99_us"] / 1e3)
