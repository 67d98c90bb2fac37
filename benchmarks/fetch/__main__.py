"""The command: make the data, race, report, judge."""

import argparse
import dataclasses
import json
import os
import platform
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.fetch import contenders, environments, workloads
from benchmarks.fetch.contenders import Contender
from benchmarks.fetch.report import Row, judge, rows
from benchmarks.fetch.run import Run, run
from benchmarks.fetch.server import blob as blobs
from benchmarks.fetch.server.blob import Blob
from benchmarks.fetch.standin import StandIn, serving
from benchmarks.fetch.workloads import Workload
from benchmarks.serving import figures, progress
from benchmarks.serving.errors import BenchmarkError
from benchmarks.serving.figures import Figure

from modelport.cli.table import table

RESULTS = Path(__file__).parents[1] / "results"
MEMORY = Path("/dev/shm")  # noqa: S108 - the server's data must not wait for a disk
QUICK = {"mebibytes": 64, "objects": 100, "rounds": 1}
WHOLE = {"mebibytes": 1024, "objects": 1000, "rounds": 3}
HEADER = "workload", "program", "seconds", "spread", "MB/s", "x kserve", "first_byte", "peak_mib", "requests", "conns"
DESCRIPTION = """\
Measure how fast a model arrives, in one run: ours, KServe's storage initializer, and the vendors' own clients.

A server on this machine stands in for a web server, Google Cloud Storage and S3. It caps each connection at 40 MB/s and
answers every request 20 ms late, as stores do; it sends from memory and can do more than any of the programs takes.
Two workloads for each scheme: one object of 1 GiB, and a bundle of 1,000 objects of 1 MiB. Every run is a new process
with an empty folder; afterwards each file's sha256 is compared with the server's. A program that fails or leaves a
wrong byte is not reported, and the exit code is 1. Rounds are interleaved; figures are medians.
"""
EPILOG = """\
columns:
  seconds     from process start to process end       spread   slowest round over fastest
  x kserve    how many times the speed of KServe      first_byte  process start to the first byte of content
  peak_mib    resident memory of all its processes    conns    connections that it opened

examples:
  python -m benchmarks.fetch                                  everything (a quarter of an hour)
  python -m benchmarks.fetch --quick                          64 MiB and 100 objects, once (under a minute)
  python -m benchmarks.fetch --workloads s3-one --rounds 5    one workload
  python -m benchmarks.fetch --only limit modelport           how far from the machine's limit
  python -m benchmarks.fetch --check                          exit code 1 when a target is missed
  PYTHONPATH=OTHER/init-container python -m benchmarks.fetch --name before    another copy of the fetcher

`make bench-fetch` runs it under a lock, so that two benchmarks never disturb each other. Results go to
benchmarks/results/.
"""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; `--quick` fills in what was not said."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fetch",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="64 MiB, 100 objects, one round")
    parser.add_argument("--only", nargs="+", choices=contenders.BY_NAME, default=list(contenders.BY_NAME),
                        metavar="NAME", help=f"these programs only: {', '.join(contenders.BY_NAME)}")  # fmt: skip
    parser.add_argument("--workloads", nargs="+", choices=workloads.BY_NAME, default=list(workloads.BY_NAME),
                        metavar="NAME", help=f"these only: {', '.join(workloads.BY_NAME)}")  # fmt: skip
    parser.add_argument("--mebibytes", type=int, metavar="N", help="size of the one object (1024)")
    parser.add_argument("--objects", type=int, metavar="N", help="number of the many (1000)")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds (3)")
    parser.add_argument("--rate", type=float, default=40, metavar="MB/S", help="cap of each connection (40)")
    parser.add_argument("--latency", type=float, default=20, metavar="MS", help="before each answer (20)")
    parser.add_argument("--folder", type=Path, metavar="PATH", help="where models are fetched to (a temporary folder)")
    parser.add_argument("--name", default="fetch", help="of the files with the results (fetch)")
    parser.add_argument("--check", action="store_true", help="fail when a target is missed")
    given = parser.parse_args(arguments)
    for name, value in (QUICK if given.quick else WHOLE).items():
        if getattr(given, name) is None:
            setattr(given, name, value)
    return given


def main() -> None:
    """Run what was asked for."""
    given = parse()
    progress.ending(lambda: _bench(given))


def _bench(given: argparse.Namespace) -> int:
    chosen = [contenders.BY_NAME[name] for name in given.only]
    for contender in chosen:
        environments.python_of(contender.environment)
    below = given.folder or Path(tempfile.gettempdir())
    with tempfile.TemporaryDirectory(prefix="bench-fetch-", dir=MEMORY if MEMORY.is_dir() else None) as name:
        progress.say(f"making {given.mebibytes} MiB and {given.objects} objects")
        blob = blobs.make(Path(name), given.mebibytes, given.objects)
        blobs.save(blob, Path(name) / "objects.json")
        with serving(Path(name) / "objects.json", given.rate * 1e6, given.latency / 1e3) as standin:
            pairs = [
                (workloads.BY_NAME[workload], contender)
                for workload in given.workloads
                for contender in chosen
                if workload in contender.workloads
            ]
            runs, refused = _race(pairs, given.rounds, standin, blob, below)
    sizes = {workload.name: _size(blob, workload) for workload in workloads.ALL}
    found = rows(runs, sizes)
    judged = judge(found)
    _write(given.name, found, judged, refused)
    missed = [figure for figure in judged if figure.holds is False]
    return 1 if refused or (given.check and missed) else 0


def _race(
    pairs: Sequence[tuple[Workload, Contender]], rounds: int, standin: StandIn, blob: Blob, below: Path
) -> tuple[dict[tuple[str, str], list[Run]], dict[tuple[str, str], str]]:
    """Every round runs every pair once; a pair that fails is not run again, and not reported."""
    runs: dict[tuple[str, str], list[Run]] = defaultdict(list)
    refused: dict[tuple[str, str], str] = {}
    for number in range(1, rounds + 1):
        for workload, contender in pairs:
            key = workload.name, contender.name
            if key in refused:
                continue
            try:
                done = run(contender, workload, standin, blob, below)
            except BenchmarkError as error:
                refused[key] = str(error)
                runs.pop(key, None)
                progress.say(f"round {number}: {workload.name} {contender.name}: NO REPORT: {error}")
                continue
            runs[key].append(done)
            progress.say(f"round {number}: {workload.name} {contender.name}: {done.seconds:.2f} s")
    order = [(workload.name, contender.name) for workload, contender in pairs]
    return {key: runs[key] for key in order if key in runs}, refused


def _size(blob: Blob, workload: Workload) -> int:
    return sum(item.size for key, item in blob.objects.items() if key.startswith(workload.key))


def _write(name: str, found: Sequence[Row], judged: Sequence[Figure], refused: dict[tuple[str, str], str]) -> None:
    """Print, and write `<name>.json` (the rows), `<name>-figures.json` (targets) and `<name>.txt` (to be read)."""
    shown = [["-" if value is None else value for value in dataclasses.astuple(row)] for row in found]
    text = "\n\n".join(
        part
        for part in (
            _machine(),
            table(shown, HEADER),
            figures.table(judged),
            "\n".join(("NOT REPORTED", *(f"{' '.join(who)}: {why}" for who, why in refused.items())))
            if refused
            else "",
        )
        if part
    )
    sys.stdout.write(text + "\n")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.txt").write_text(text + "\n", encoding="utf-8")
    (RESULTS / f"{name}.json").write_text(json.dumps([dataclasses.asdict(row) for row in found], indent=2) + "\n")
    (RESULTS / f"{name}-figures.json").write_text(json.dumps([one.as_json() for one in judged], indent=2) + "\n")


def _machine() -> str:
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    taking_part = [
        f"  {one.name}: {one.about}"
        + (f" ({', '.join(environments.PINNED[one.environment])})" if one.environment else "")
        for one in contenders.ALL
    ]
    head = f"{when}, {os.cpu_count()} cores, Python {platform.python_version()}, {platform.platform()}"
    return "\n".join((head, *taking_part))


if __name__ == "__main__":
    main()
