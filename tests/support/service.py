"""A started service: its process, its address, its memory."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import urllib3

from support.batching import samples

PATIENCE = 180.0


class Service:
    """Talks to a running service.

    Args:
        process: the supervisor.
        port: where it listens.
        log: file of its output.
        tls: keywords of urllib3's pool, when it speaks HTTPS.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, log: Path, tls: dict[str, Any] | None) -> None:
        self.process, self.port, self.log = process, port, log
        kind = urllib3.HTTPConnectionPool if tls is None else urllib3.HTTPSConnectionPool
        self.pool = kind("127.0.0.1", port, maxsize=1, retries=False, timeout=30, **tls or {})

    def request(self, method: str, path: str, **options: Any) -> Any:
        return self.pool.request(method, path, **options)

    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def peak_bytes(self) -> int:
        """The most memory that its largest worker ever had."""
        return max(self._status(worker.pid, "VmHWM") for worker in self.workers())

    def resident_bytes(self) -> int:
        """What all workers hold now."""
        return sum(self._status(worker.pid, "VmRSS") for worker in self.workers())

    @staticmethod
    def _status(pid: int, name: str) -> int:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024

    def metrics(self) -> dict[tuple[str, tuple[str, ...]], float]:
        return samples(self.request("GET", "/metrics", headers={"connection": "close"}).data.decode())

    def wait_metric(self, value: float, name: str, *labels: str) -> None:
        wait_for(
            lambda: self.metrics().get((name, labels)) == value, lambda: f"{name} is not {value}: {self.metrics()}"
        )

    def lines(self) -> list[dict[str, Any]]:
        whole, _, _ = self.log.read_bytes().rpartition(b"\n")  # the last line may be on its way
        return [json.loads(line) for line in whole.splitlines()]

    def told(self) -> str:
        """Its log without access lines."""
        return "\n".join(str(line) for line in self.lines() if line["logger"] != "model_service.access")

    def stop(self) -> int:
        """Ask it to end; gives its exit code."""
        self.process.terminate()
        return self.process.wait(PATIENCE)

    def wait_ready(self) -> None:
        def ready() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            try:
                return bool(self.request("GET", "/health").status == 200)
            except urllib3.exceptions.HTTPError:
                return False

        wait_for(ready, lambda: f"not ready: {self.log.read_text()}")


def wait_for(condition: Callable[[], bool], otherwise: Callable[[], str]) -> None:
    """Ask again and again; fail with a sentence when it takes too long."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.05)


@contextmanager
def running(
    root: Path,
    port: int,
    folder: Path,
    tls: dict[str, Any] | None = None,
    variables: Mapping[str, str] | None = None,
    **settings: str,
) -> Iterator[Service]:
    """Serve the models below `root` until the block ends; settings are named without their prefix, `variables` whole.

    Models may come from this folder's modules.
    """
    given = {"MODEL_ROOT": str(root), "API_PORT": str(port), "ALLOW_PICKLE": "true"} | settings
    named = {f"MODELPORT_{name}": text for name, text in given.items()}
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])} | named | dict(variables or {})
    log, command = folder / f"service-{port}.log", [sys.executable, "-m", "model_service"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
    family = []
    try:
        service = Service(process, port, log, tls)
        service.wait_ready()
        family = service.workers()
        yield service
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
        for left in [*family, process]:
            with suppress(psutil.NoSuchProcess, ProcessLookupError):
                left.kill()
