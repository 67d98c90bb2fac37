"""One server process from its first instruction to its last: started on its cores, awaited, weighed, stopped."""

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
from benchmarks.serving import answers, cores
from benchmarks.serving.contender import Contender, Launch, Site
from benchmarks.serving.environments import python_of
from benchmarks.serving.errors import BenchmarkError, ServerFailed
from benchmarks.serving.subjects import Subject

START_SECONDS = 90
STOP_SECONDS = 10
POLL_SECONDS = 0.01
KEPT_LOG = 20_000
"""Bytes of output that are kept for the sentence about a failure; the rest is read and dropped."""


@dataclass
class Server:
    """A running server; `start_s` is from the spawn to the first correct answer."""

    contender: Contender
    subject: Subject
    port: int
    process: psutil.Process
    start_s: float = 0.0

    @property
    def url(self) -> str:
        """Without a path."""
        return f"http://127.0.0.1:{self.port}"

    def memory_mb(self) -> float:
        """Resident memory of the whole tree that nobody shares (USS), in MB: what a leak would make grow."""
        return float(sum(process.memory_full_info().uss for process in self.tree())) / 1e6

    def tree(self) -> list[psutil.Process]:
        """The process and all its descendants."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return [self.process, *self.process.children(recursive=True)]
        return []

    def pss_mb(self) -> float:
        """Proportional set size of the whole tree, in MB: shared pages count once."""
        total = 0
        for process in self.tree():
            with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
                total += _pss_bytes(process.pid)
        return total / 1e6


def _pss_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


@contextlib.contextmanager
def running(  # noqa: PLR0913 - the last three have defaults
    contender: Contender, subject: Subject, collector: str, *,
    workers: int = 1, extra: Mapping[str, str] | None = None, ready: Callable[[Server], bool] = answers.is_up,
) -> Iterator[Server]:  # fmt: skip
    """Serve `subject` for the length of the block, from the moment that it is `ready`; `extra` adds to the environment.

    Raises:
        ServerFailed: it ended, or did not answer rightly in time; the sentence has the end of its output.
    """
    with tempfile.TemporaryDirectory(prefix="modelport-bench-") as scratch:
        folder = Path(scratch)
        port, *spare = _free_ports(3)
        python = python_of(contender.environment)
        site = Site(subject, folder, python, port, (spare[0], spare[1]), workers, collector)
        launch = contender.launch(site)
        log = folder / "output.log"
        began = time.perf_counter()
        with _started(launch, folder, log, workers, extra or {}) as process:
            server = Server(contender, subject, port, psutil.Process(process.pid))
            try:
                server.start_s = _await(server, process, ready, began)
                yield server
            except BenchmarkError as error:
                _stop(server, process)
                raise type(error)(f"{error}\n{_tail(log)}") from error
            finally:
                _stop(server, process)


@contextlib.contextmanager
def _started(
    launch: Launch, folder: Path, log: Path, workers: int, extra: Mapping[str, str]
) -> Iterator["subprocess.Popen[bytes]"]:
    """The process, with its output going through a pipe that something reads."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MODELPORT_", "OTEL_"))}
    environment |= {**launch.environment, **extra}
    command = [*cores.pinned(cores.serving(workers)), *launch.command]
    with log.open("wb") as kept, subprocess.Popen(  # noqa: S603 - the contenders' own commands
        ["tail", "-c", str(KEPT_LOG)], stdin=subprocess.PIPE, stdout=kept  # noqa: S607
    ) as drain, subprocess.Popen(  # noqa: S603
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=drain.stdin, stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:  # fmt: skip
        assert drain.stdin is not None  # noqa: S101 - a pipe was asked for
        drain.stdin.close()
        yield process


def _await(server: Server, process: "subprocess.Popen[bytes]", ready: Callable[[Server], bool], began: float) -> float:
    while not ready(server):
        if process.poll() is not None:
            raise ServerFailed(f"{server.contender.name} ended with status {process.returncode} before it answered")
        if time.perf_counter() - began > START_SECONDS:
            raise ServerFailed(f"{server.contender.name} gave no answer within {START_SECONDS} s")
        time.sleep(POLL_SECONDS)
    return time.perf_counter() - began


def _stop(server: Server, process: "subprocess.Popen[bytes]") -> None:
    tree = server.tree()
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    _, alive = psutil.wait_procs(tree, timeout=STOP_SECONDS)
    for straggler in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            straggler.kill()
    psutil.wait_procs(alive, timeout=STOP_SECONDS)


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
    return "\n".join(f"    {line[:300]}" for line in lines)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
