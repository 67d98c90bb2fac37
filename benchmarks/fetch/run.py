"""One run: start a program, watch it, and check every byte that it left."""

import os
import shutil
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from benchmarks.fetch import environments, workloads
from benchmarks.fetch.contenders import Contender
from benchmarks.fetch.server.blob import Blob
from benchmarks.fetch.standin import StandIn
from benchmarks.fetch.workloads import Workload
from benchmarks.serving.errors import BenchmarkError, WrongAnswer

from model_artifact.digests import sha256_file

LOOK_EVERY = 0.02
LONGEST = 900
"""Seconds."""


class RunFailed(BenchmarkError):
    """A program ended with an error; the sentence has its last lines."""


@dataclass(frozen=True)
class Run:
    """Seconds in all and to the first byte of content, peak MiB of all its processes, what the server saw."""

    seconds: float
    first_byte: float
    peak_mib: float
    requests: int
    connections: int


def run(contender: Contender, workload: Workload, standin: StandIn, blob: Blob, below: Path) -> Run:
    """Fetch once into a new folder below `below`.

    Raises:
        RunFailed: the program ended with an error, or took too long.
        WrongAnswer: a file is missing or has other bytes.
    """
    python = str(environments.python_of(contender.environment))
    uri = workload.uri.format(port=standin.port)
    with tempfile.TemporaryDirectory(prefix="bench-fetch-", dir=below) as name:
        folder = Path(name) / "models"
        folder.mkdir()
        standin.take_log()
        command = [python, *contender.command(uri, folder)]
        began = time.monotonic()
        peak = _watched(command, workloads.environment(standin.port), Path(name) / "output")
        seconds = time.monotonic() - began
        log = standin.take_log()
        if contender.writes:
            check(folder / contender.places(workload.key), blob, workload.key)
        shutil.rmtree(folder)
    return Run(seconds, log.first_content - began, peak / 2**20, log.requests, log.connections)


def check(folder: Path, blob: Blob, key: str) -> None:
    """Compare the sha256 of what is in `folder` with the server's. Raises WrongAnswer at the first difference."""
    one = blob.objects.get(key)
    wanted = {key.rpartition("/")[2]: one.sha256} if one else blob.below(key)
    for name, digest in wanted.items():
        path = folder / name
        if not path.is_file():
            raise WrongAnswer(f"{name} is missing")
        if sha256_file(path) != digest:
            raise WrongAnswer(f"{name} has other bytes than the server sent")


def _watched(command: list[str], environment: dict[str, str], output: Path) -> int:
    with output.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603 - our own contenders
            command, env={**os.environ, **environment}, stdout=file, stderr=subprocess.STDOUT
        )
        watch = _Watch(process.pid)
        watch.start()
        try:
            code = process.wait(LONGEST)
        except subprocess.TimeoutExpired as error:
            raise RunFailed(f"did not end within {LONGEST} s") from error
        finally:
            process.kill()
            process.wait()
            watch.join()
    if code:
        last = output.read_text(errors="replace").strip()[-600:]
        raise RunFailed(f"ended with exit code {code}: {last}")
    return watch.peak


class _Watch(threading.Thread):
    """Looks at the memory of a process and its children until it ends; `peak` is the largest sum, in bytes."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._process = psutil.Process(pid)

    def run(self) -> None:
        while self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE:
            try:
                members = [self._process, *self._process.children(recursive=True)]
                self.peak = max(self.peak, sum(member.memory_info().rss for member in members))
            except psutil.NoSuchProcess:
                continue
            time.sleep(LOOK_EVERY)
