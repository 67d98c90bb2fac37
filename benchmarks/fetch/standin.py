"""The server's process, as the harness sees it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from benchmarks.serving.errors import ServerFailed

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Seen:
    """What the server saw: requests, connections, and when the first byte of content left (monotonic seconds)."""

    requests: int
    connections: int
    first_content: float


@dataclass(frozen=True)
class StandIn:
    """A running server."""

    port: int

    def take_log(self) -> Seen:
        """What was seen since the last call."""
        with urlopen(f"http://127.0.0.1:{self.port}/-/log", timeout=10) as answer:
            told = json.loads(answer.read())
        return Seen(told["requests"], told["connections"], told["first_content"] or float("nan"))


@contextmanager
def serving(objects: Path, rate: float, latency: float) -> Iterator[StandIn]:
    """Run the server on a free port; `rate` in bytes a second of each connection, `latency` in seconds.

    Raises:
        ServerFailed: it does not start.
    """
    command = [sys.executable, "-m", "benchmarks.fetch.server", str(objects), str(rate), str(latency)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                raise ServerFailed("the stand-in for the stores did not start")
            yield StandIn(int(line))
        finally:
            process.kill()
