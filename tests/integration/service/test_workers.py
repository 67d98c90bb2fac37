"""Workers that are counted together, killed, replaced, reloaded and stopped; clients notice only what they must."""

import os
import shutil
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
import urllib3
from integration.service.held import Held
from support.bundles import answer_wrong, write_bare
from support.estimators import Threads
from support.load import Load
from support.releases import RELEASES
from support.service import PATIENCE, Service, wait_for

IRIS = RELEASES[-1] / "models"
ROW = {"features": [5.1, 3.5, 1.4, 0.2]}
HTTP = "http_server_request_duration_seconds_count"
MODEL = "model_request_duration_seconds_count"


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


@pytest.fixture
def free(tmp_path: Path) -> Path:
    """Where a file lets the model of `held_root` answer."""
    return tmp_path / "free"


@pytest.fixture
def held_root(tmp_path: Path, free: Path) -> Path:
    """A model that is held back by rows that are not zero."""
    write_bare(tmp_path / "held", Held(free))
    return tmp_path / "held"


def ask(service: Service, body: Any) -> Any:
    """Over a connection of its own, so that any worker may get it: the status, or the name of the failure."""
    try:
        with urllib3.HTTPConnectionPool("127.0.0.1", service.port, retries=False, timeout=30) as connection:
            return connection.request("POST", "/predict", json=body).status
    except urllib3.exceptions.HTTPError as error:
        return type(error).__name__


def wait_replaced(service: Service, killed: set[int], workers: int) -> None:
    """Return when there are as many workers as before, all of them proven, and none that was killed."""

    def replaced() -> bool:
        pids = {worker.pid for worker in service.workers()}
        return len(pids) == workers and not pids & killed

    wait_for(replaced, lambda: f"not replaced: {service.told()}")
    service.wait_metric(workers, "service_workers", "live")


def test_every_request_is_counted_once_whoever_answers_and_whoever_dies(serve: Any, pool: ThreadPoolExecutor) -> None:
    with serve(IRIS, WORKERS="3") as service:
        model = service.request("GET", "/health").json()["models"][0]
        good, bad = (("POST", "/predict", status) for status in ("200", "422"))
        for death in range(1, 3):
            bodies = [ROW if number % 5 else {"features": []} for number in range(200)]
            answers = list(pool.map(lambda body: ask(service, body), bodies))
            assert (answers.count(200), answers.count(422)) == (160, 40)
            for _ in range(6):  # whichever worker is asked
                found = service.metrics()
                assert (found[HTTP, good], found[HTTP, bad]) == (160 * death, 40 * death)
                assert found[MODEL, (model["name"], model["version"], "default", "ok")] == 160 * death
                assert found[MODEL, (model["name"], model["version"], "default", "invalid")] == 40 * death
                assert found["model_ready", (model["name"], model["version"])] == 3
            victim = service.workers()[0]
            victim.kill()
            wait_replaced(service, {victim.pid}, 3)
        assert service.metrics()[HTTP, good] == 320


def test_a_killed_worker_takes_only_its_own_requests_with_it(
    serve: Any, held_root: Path, free: Path, pool: ThreadPoolExecutor
) -> None:
    with serve(held_root, WORKERS="2") as service:
        running = [pool.submit(ask, service, {"features": [2.0]}) for _ in range(8)]
        service.wait_metric(8, "model_requests_in_flight")
        wait_for(lambda: sum(map(connections, service.workers())) == 8, lambda: "scrapes are still connected")
        victim = service.workers()[0]
        lost = connections(victim)
        victim.kill()
        victim.wait(PATIENCE)
        free.touch()
        outcomes = [future.result() for future in running]
        assert outcomes.count(200) == 8 - lost
        assert outcomes.count("ProtocolError") == lost
        wait_replaced(service, {victim.pid}, 2)
        service.wait_metric(0, "model_requests_in_flight")
        service.wait_metric(1, "http_server_active_requests")  # this very scrape
        assert service.request("GET", "/health").status == 200


def connections(worker: psutil.Process) -> int:
    """How many clients it has."""
    return sum(end.status == psutil.CONN_ESTABLISHED for end in worker.net_connections() if end.raddr)


def test_all_workers_at_once_are_replaced(serve: Any) -> None:
    with serve(IRIS, WORKERS="2") as service:
        killed = service.workers()
        for worker in killed:
            worker.kill()
        wait_replaced(service, {worker.pid for worker in killed}, 2)
        assert ask(service, ROW) == 200


def test_a_worker_whose_model_never_ends_is_replaced(serve: Any, slow_root: Path) -> None:
    with serve(slow_root, REQUEST_TIMEOUT_SECONDS="2", WORKER_TIMEOUT_SECONDS="8") as service:
        stuck = {worker.pid for worker in service.workers()}
        assert ask(service, {"features": [600.0]}) == 504
        wait_replaced(service, stuck, 1)
        assert ask(service, {"features": [0.0]}) == 200
        told = [line["message"] for line in service.lines() if line["level"] == "critical"]
        assert told == ["this worker cannot answer any more: a call of the model has not ended in 8 s"]


def test_a_client_that_leaves_is_not_computed(
    serve: Any, held_root: Path, free: Path, pool: ThreadPoolExecutor
) -> None:
    with serve(held_root) as service:
        busy = pool.submit(ask, service, {"features": [1.0]})
        service.wait_metric(1, "model_requests_in_flight")
        with socket.create_connection(("127.0.0.1", service.port)) as client:
            head = b"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 17\r\n\r\n"
            client.sendall(head + b'{"features": [9]}')
            service.wait_metric(2, "model_requests_in_flight")
        service.wait_metric(1, "model_requests_cancelled_total", "model", "1")
        free.touch()
        assert busy.result() == 200
        found = service.metrics()
        assert found["model_batch_rows_sum", ("model", "1")] == 1
        assert found[MODEL, ("model", "1", "default", "cancelled")] == 1
        assert service.stop() == 0  # every line is written by then
        statuses = [line["status"] for line in service.lines() if line.get("path") == "/predict"]
        assert sorted(statuses) == [200, 499]


def test_a_reload_serves_what_is_there_now_and_a_failed_one_what_was(serve: Any, tmp_path: Path) -> None:
    root = tmp_path / "models"
    shutil.copytree(IRIS, root)
    (published,) = root.glob("*/*")
    name = published.parent.name
    with serve(root, WORKERS="2", DRAIN_DELAY_SECONDS="3") as service:  # time to tell every idle connection to close
        load = Load(f"http://127.0.0.1:{service.port}/predict", ROW, rate=40, connections=4)
        with load.running():
            manifest = (published / "manifest.json").read_text()
            shutil.copytree(published, published.parent / "8")
            said = f'"version":"{published.name}"'
            text = manifest.replace(said, '"version":"8"').replace(said.replace(":", ": "), '"version": "8"')
            (published.parent / "8" / "manifest.json").write_text(text)
            service.process.send_signal(signal.SIGHUP)
            wait_for(lambda: load.versions["8"] > 20, lambda: f"{load.outcomes} {service.told()}")

            shutil.copytree(published.parent / "8", published.parent / "9")
            (published.parent / "9" / "model.onnx").write_bytes(b"damaged")
            service.process.send_signal(signal.SIGHUP)
            wait_for(lambda: "the reload failed" in service.told(), service.told)
            service.wait_metric(2, "model_ready", name, "8")

            shutil.rmtree(published.parent / "9")
            shutil.copytree(published.parent / "8", published.parent / "10")
            answer_wrong(published.parent / "10")
            service.process.send_signal(signal.SIGHUP)
            wait_for(lambda: "golden row 0" in service.told(), service.told)
            service.wait_metric(2, "model_ready", name, "8")
        assert load.failures == {}
        assert all(seen in ([published.name, "8"], ["8"]) for seen in load.sequences)
        assert service.stop() == 0


def test_a_long_request_survives_the_stop(serve: Any, held_root: Path, free: Path, pool: ThreadPoolExecutor) -> None:
    with serve(held_root, WORKERS="2") as service:
        long: Future[Any] = pool.submit(ask, service, {"features": [2.0]})
        service.wait_metric(1, "model_requests_in_flight")
        service.process.terminate()
        wait_for(lambda: refuses(service), service.told)
        free.touch()
        assert service.process.wait(PATIENCE) == 0
        assert long.result() == 200


def refuses(service: Service) -> bool:
    """Whether nobody listens any more."""
    try:
        socket.create_connection(("127.0.0.1", service.port), 30).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize(("variables", "threads"), [({}, 1), ({"OMP_NUM_THREADS": "3"}, 3)], ids=["ours", "theirs"])
def test_numeric_libraries_start_a_workers_share_of_threads(
    serve: Any, tmp_path: Path, variables: dict[str, str], threads: int
) -> None:
    root = tmp_path / "models"
    write_bare(root, Threads())
    with serve(root, variables, WORKERS=str(len(os.sched_getaffinity(0)))) as service:
        answer = service.request("POST", "/predict", json={"features": [0]}).json()
        assert answer["prediction"] == threads
