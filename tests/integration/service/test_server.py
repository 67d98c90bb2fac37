"""The real thing: gunicorn, uvicorn workers, sockets, signals."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import urllib3
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from support.bundles import answer_wrong, write_bare
from support.releases import RELEASES

from model_service import board

ROW = {"features": [5.1, 3.5, 1.4, 0.2]}
PATIENCE = 60.0
http_client = urllib3.PoolManager(retries=False)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model root with one bare joblib file."""
    root = tmp_path_factory.mktemp("models")
    data = load_iris()
    write_bare(root, LogisticRegression(max_iter=500).fit(data.data, data.target), "iris")
    return root


class Server:
    """A started service: its process, address and log."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
        self.process, self.log = process, log
        self.url = f"http://127.0.0.1:{port}"

    def family(self) -> list[psutil.Process]:
        """Its process and all below: the reloader's child would outlive a killed parent."""
        try:
            parent = psutil.Process(self.process.pid)
            return [*parent.children(recursive=True), parent]
        except psutil.NoSuchProcess:
            return []

    def get(self, path: str = "/health") -> Any:
        return http_client.request("GET", self.url + path, timeout=30)

    def predict(self, **headers: str) -> Any:
        return http_client.request("POST", f"{self.url}/predict", json=ROW, headers=headers, timeout=30)

    def wait_ready(self) -> None:
        wait_for(lambda: self.answers(200), f"{self.url} is not ready: {self.log.read_text()}")

    def answers(self, status: int) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return bool(self.get().status == status)
        except urllib3.exceptions.HTTPError:
            return False

    def lines(self) -> list[dict[str, Any]]:
        whole, _, _ = self.log.read_bytes().rpartition(b"\n")  # the last line may be on its way
        return [json.loads(line) for line in whole.splitlines()]


def wait_for(condition: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)


@pytest.fixture
def start(root: Path, tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Callable[..., Server]]:
    """Start the service with settings given as keywords."""
    servers: list[Server] = []

    def run(*flags: str, **settings: str) -> Server:
        port, log = free_port(), tmp_path / f"server-{len(servers)}.log"
        given = {"MODEL_ROOT": str(root), "API_PORT": str(port), "ALLOW_PICKLE": "true"} | settings
        environment = {name if name.startswith("OTEL") else f"MODELPORT_{name}": text for name, text in given.items()}
        command = [sys.executable, "-m", "model_service", *flags]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, env=os.environ | environment, cwd=tmp_path, stdout=output, stderr=subprocess.STDOUT
            )
        servers.append(Server(process, port, log))
        return servers[-1]

    yield run
    for server in servers:
        for process in server.family():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        server.process.wait(PATIENCE)


def test_two_workers_answer_survive_a_kill_and_stop_with_exit_code_0(start: Callable[..., Server]) -> None:
    server = start("--workers", "2")
    server.wait_ready()
    workers = psutil.Process(server.process.pid).children()
    assert len(workers) == 2
    assert server.predict().json()["prediction"] == 0

    workers[0].kill()

    def replaced() -> bool:
        alive = {child.pid for child in psutil.Process(server.process.pid).children()}
        return len(alive) == 2 and workers[0].pid not in alive

    wait_for(replaced, "the killed worker was not replaced")
    assert loads(server) == 1  # before the fork; whoever is replaced finds it there
    for _ in range(20):
        assert server.predict().status == 200  # whoever accepts has a model
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(PATIENCE) == 0


def loads(server: Server) -> int:
    """How often the model was loaded."""
    return sum(line["message"].startswith("loaded iris") for line in server.lines())


def test_every_line_of_the_log_is_json_and_requests_are_told_once(start: Callable[..., Server]) -> None:
    server = start()
    server.wait_ready()
    server.predict(**{"x-request-id": "only-once"})
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(PATIENCE) == 0
    assert len([line for line in server.lines() if line.get("request_id") == "only-once"]) == 1


def test_the_heartbeat_lies_on_tmpfs(start: Callable[..., Server]) -> None:
    server = start()
    server.wait_ready()
    files = Path(f"/proc/{server.process.pid}/fd").iterdir()
    assert any(str(entry.readlink()).startswith("/dev/shm/") for entry in files)


def test_a_model_that_cannot_be_served_ends_with_code_3_and_the_reason(
    start: Callable[..., Server], tmp_path: Path
) -> None:
    message = tmp_path / "termination-log"
    message.touch()
    server = start("--workers", "4", ALLOW_PICKLE="false", TERMINATION_MESSAGE_PATH=str(message))
    assert server.process.wait(PATIENCE) == 3
    last = server.lines()[-1]
    assert last["level"] == "critical"
    assert "model.joblib is a pickle" in last["message"]
    assert "model.joblib is a pickle" in message.read_text()


def test_a_model_that_answers_wrong_ends_with_code_3_and_the_reason(
    start: Callable[..., Server], tmp_path: Path
) -> None:
    shutil.copytree(RELEASES[-1] / "models", tmp_path / "models")
    (bundle,) = (tmp_path / "models").glob("*/*")
    answer_wrong(bundle)
    server = start("--workers", "2", MODEL_ROOT=str(tmp_path / "models"))
    assert server.process.wait(PATIENCE) == 3
    last = server.lines()[-1]
    assert (last["level"], "golden row 0" in last["message"]) == ("critical", True)


def test_a_drain_answers_on_and_is_not_ready(start: Callable[..., Server]) -> None:
    server = start(DRAIN_DELAY_SECONDS="10")
    server.wait_ready()
    server.process.send_signal(signal.SIGTERM)
    wait_for(lambda: server.answers(503), "it stayed ready")
    assert server.get().json()["status"] == "draining"
    answer = server.predict()
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert server.process.wait(PATIENCE) == 0


def test_ctrl_c_stops_at_once_whatever_the_drain(start: Callable[..., Server]) -> None:
    server = start("--workers", "2", DRAIN_DELAY_SECONDS="50")
    server.wait_ready()
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(40) == 0
    assert "SIGKILL" not in server.log.read_text()


def test_debug_serves_with_reload(start: Callable[..., Server]) -> None:
    server = start("--debug", MODEL_SHA256="")
    server.wait_ready()
    assert server.predict().status == 200
    os.utime(board.__file__)  # as an editor would that saves the file
    wait_for(lambda: "detected changes" in server.log.read_text(), "it did not notice the change")
    wait_for(lambda: loads(server) >= 2, "the process of before was not replaced")
    server.wait_ready()
    assert server.predict().status == 200
    server.process.send_signal(signal.SIGINT)
    server.process.wait(PATIENCE)
