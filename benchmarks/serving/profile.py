"""Where a request spends its time: py-spy's samples of the worker under load, and the service's own histograms."""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import psutil
from benchmarks.serving import contenders, cores, progress, race, subjects, wrk
from benchmarks.serving.collector import collecting
from benchmarks.serving.errors import MissingTool
from benchmarks.serving.race import Point
from benchmarks.serving.server import Server, running

SAMPLES_A_SECOND = 500
ALWAYS = 0.99
"""Share of the samples from which a function is the frame around everything, and tells nothing."""
_DURATION = re.compile(r"^(\w+_duration_seconds)_(sum|count)(?:\{.*\})? (\S+)$", re.MULTILINE)
_PLACE = re.compile(r" \((.*):\d+\)$")
EPILOG = """\
examples:
  make profile
  make profile ARGS="--server modelport-sklearn --model forest"
  make profile ARGS="--rows 512 --native"     C code too: the parser, ONNX Runtime, the kernel's side of the socket
"""


def main() -> None:
    """Serve, load, sample, print."""
    given = _parse()
    progress.ending(lambda: _profile(given))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving.profile", description=__doc__, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--server", default="modelport-onnx", choices=contenders.BY_NAME, metavar="NAME")
    parser.add_argument("--model", default="logistic", choices=subjects.ESTIMATORS, metavar="NAME")
    parser.add_argument("--rows", type=int, default=1, help="rows in a request (1)")
    parser.add_argument("--connections", type=int, default=32, help="connections (32)")
    parser.add_argument("--seconds", type=int, default=10, help="how long to sample (10)")
    parser.add_argument("--top", type=int, default=30, help="lines of each table (30)")
    parser.add_argument("--native", action="store_true", help="resolve C functions as well")
    return parser.parse_args()


def _profile(given: argparse.Namespace) -> None:
    wrk.require()
    if shutil.which("py-spy", path=str(Path(sys.executable).parent)) is None:
        raise MissingTool("py-spy is not installed: pip install py-spy")
    cores.keep_out_of_the_way()
    with tempfile.TemporaryDirectory(prefix="modelport-bench-") as folder, collecting() as collector:
        subject = subjects.prepare(given.model, Path(folder))
        with running(contenders.BY_NAME[given.server], subject, collector) as server:
            stacks = _sample_under_load(server, given, Path(folder) / "stacks.txt")
            phases = _metrics(server)
    own, whole = shares(stacks)
    total = sum(own.values())
    inner = {name: count for name, count in whole.items() if count < ALWAYS * total}
    for title, counts in (("self, %", own), ("with what it calls, %", inner)):
        sys.stdout.write(f"\n{_table(title, counts, total, given.top)}\n")
    sys.stdout.write(f"\n{_phase_table(phases)}\n" if phases else "\nno histograms at /metrics\n")


def _sample_under_load(server: Server, given: argparse.Namespace, output: Path) -> list[str]:
    """The collapsed stacks of the busiest process while it is loaded."""
    point = Point(given.rows, given.connections)
    loading = threading.Thread(target=race.measure, args=(server, point, given.seconds + 4), daemon=True)
    before = {process: sum(process.cpu_times()[:2]) for process in server.tree()}
    loading.start()
    loading.join(race.WARM_SECONDS + 1)
    worker = max(before, key=lambda process: sum(process.cpu_times()[:2]) - before[process])
    progress.say(f"sampling process {worker.pid} for {given.seconds} s")
    _record(worker, given, output)
    loading.join()
    return output.read_text(encoding="utf-8").splitlines()


def _record(worker: psutil.Process, given: argparse.Namespace, output: Path) -> None:
    command = [
        str(Path(sys.executable).with_name("py-spy")), "record", "--pid", str(worker.pid), "--format", "raw",
        "--rate", str(SAMPLES_A_SECOND), "--duration", str(given.seconds), "--output", str(output),
        "--native" if given.native else "--nonblocking",  # C code can only be looked up while the worker stands still
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own process
    if done.returncode or not output.is_file():
        raise MissingTool(f"py-spy could not sample (does the kernel allow ptrace here?): {done.stderr[-500:]}")


def shares(stacks: Iterable[str]) -> tuple[Counter[str], Counter[str]]:
    """Samples by function, from collapsed stacks (`outer;inner COUNT`): where they ended, and where they were."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for line in stacks:
        stack, _, count = line.rpartition(" ")
        if not stack:  # torn: the process ran on while it was read
            continue
        frames = [_short(frame) for frame in stack.split(";")]
        own[frames[-1]] += int(count)
        whole.update(dict.fromkeys(frames, int(count)))
    return own, whole


def _short(frame: str) -> str:
    """`function (package/file.py)`, without the line and the path to the environment."""
    place = _PLACE.search(frame)
    if place is None:
        return frame
    return f"{frame[: place.start()]} ({place.group(1).rsplit('site-packages/', 1)[-1].removeprefix('/')})"


def _table(title: str, counts: Mapping[str, int], total: int, top: int) -> str:
    lines = [f"{title:>22}  function"]
    for name, count in sorted(counts.items(), key=lambda item: -item[1])[:top]:
        lines.append(f"{100 * count / total:>22.1f}  {name}")
    return "\n".join(lines)


def _metrics(server: Server) -> dict[str, tuple[float, float]]:
    """(seconds, observations) of each duration histogram at /metrics; nothing where there is none."""
    try:
        with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as response:  # noqa: S310 - our own address
            text = response.read().decode()
    except OSError:
        return {}
    return totals(text)


def totals(text: str) -> dict[str, tuple[float, float]]:
    """Sum over the labels of `<name>_duration_seconds_sum` and `_count` in Prometheus text: (seconds, observations)."""
    found: dict[str, dict[str, float]] = {}
    for name, part, value in _DURATION.findall(text):
        family = found.setdefault(name, {"sum": 0.0, "count": 0.0})
        family[part] += float(value)
    return {name: (family["sum"], family["count"]) for name, family in found.items()}


def _phase_table(phases: Mapping[str, tuple[float, float]]) -> str:
    lines: Sequence[str] = [
        f"{seconds:>10.3f} {count:>12,.0f} {1e6 * seconds / count if count else 0:>12.1f}  {name}"
        for name, (seconds, count) in sorted(phases.items(), key=lambda item: -item[1][0])
    ]
    return "\n".join((f"{'seconds':>10} {'times':>12} {'us each':>12}  histogram at /metrics", *lines))


if __name__ == "__main__":
    main()
