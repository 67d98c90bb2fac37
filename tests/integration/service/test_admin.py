"""Commands to a server of several workers: they take effect in all of them or in none, and nobody's request fails."""

import json
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import urllib3
from integration.service.held import Held
from support.admin import Admin
from support.bundles import write_bare
from support.estimators import Dies, Hangs, Heavy, Says, Slow
from support.load import Load
from support.service import Service, wait_for

WORKERS = 3
ROW = {"features": [1.0]}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Versions 1 to 3 of one model, each of which says its number; the third is damaged."""
    root = tmp_path / "models"
    for number in (1, 2, 3):
        write_bare(root, Says(number), "says", str(number))
    (root / "says" / "3" / "model.joblib").write_bytes(b"damaged")
    return root


@pytest.fixture
def admin(tmp_path: Path, free_port: Callable[[], int]) -> Admin:
    return Admin(tmp_path, free_port())


@pytest.fixture
def service(serve: Any, root: Path, admin: Admin, request: pytest.FixtureRequest) -> Iterator[Service]:
    """With the settings that the test is parametrized with, if any."""
    more = getattr(request, "param", {})
    with serve(root, WORKERS=str(WORKERS), MODEL_VERSION="1", **admin.settings, **more) as service:
        yield service


def ask(service: Service, path: str = "/predict", **headers: str) -> tuple[int, Any, str | None]:
    """Over a connection of its own: status, prediction or error, and variant."""
    with urllib3.HTTPConnectionPool("127.0.0.1", service.port, retries=False, timeout=30) as pool:
        answer = pool.request("POST", path, json=ROW, headers=headers)
        body = answer.json()
        return answer.status, body.get("prediction", body.get("error")), answer.headers.get("x-model-variant")


def spread(service: Service, times: int, path: str = "/predict") -> Counter[Any]:
    with ThreadPoolExecutor(8) as pool:
        return Counter(pool.map(lambda _: ask(service, path), range(times)))


def test_each_port_answers_its_own_paths_only(service: Service, admin: Admin) -> None:
    for path in ("/admin/models", "/admin/traffic"):
        assert service.request("GET", path).status == 404
        assert admin.request("GET", path).status == 200
    assert service.request("PUT", "/admin/traffic", json={}).status == 404
    for path in ("/predict", "/predict/batch", "/models/says/predict", "/models/says/versions/1/predict"):
        assert admin.request("POST", path, ROW).status in {403, 404}
    for path in ("/metrics", "/docs", "/openapi.json"):
        assert admin.request("GET", path).status == 404
    assert admin.request("GET", "/health", headers={}).status == 200


@pytest.mark.parametrize("token", [None, "", "Bearer wrong", "Bearer ", "Basic YTpi"])
def test_commands_without_the_token_are_refused(service: Service, admin: Admin, token: str | None) -> None:
    headers = {} if token is None else {"authorization": token}
    for method, path in (
        ("GET", "/admin/models"), ("GET", "/admin/traffic"), ("PUT", "/admin/traffic"),
        ("POST", "/admin/models/says/versions/2/load"), ("POST", "/admin/models/says/versions/1/unload"),
    ):  # fmt: skip
        assert admin.request(method, path, {}, headers).status == 401


def test_after_a_change_of_traffic_every_worker_acts_upon_it(service: Service, admin: Admin) -> None:
    assert spread(service, 60) == {(200, 1.0, None): 60}
    for generation, default in ((1, "2"), (2, "1"), (5, "2")):
        answer = admin.put(generation, says={"default": default})
        assert (answer.status, answer.json()["generation"]) == (200, generation)
        assert spread(service, 60) == {(200, float(default), "default"): 60}
        assert service.metrics()["model_ready", ("says", "2")] == WORKERS
    for _ in range(WORKERS * 3):
        assert admin.request("GET", "/admin/traffic").json()["models"]["says"]["default"] == "2"


def test_weights_hold_and_a_key_keeps_its_version_in_every_worker(service: Service, admin: Admin) -> None:
    sticky = {"default": "1", "weights": {"1": 70, "2": 30}, "sticky": {"header": "X-User"}}
    assert admin.put(1, says=sticky).status == 200
    with ThreadPoolExecutor(8) as pool:
        users = [str(number) for number in range(100)]
        rounds = [list(pool.map(lambda user: ask(service, **{"x-user": user}), users)) for _ in range(3)]
    assert rounds[0] == rounds[1] == rounds[2]
    assert set(rounds[0]) == {(200, 1.0, "default"), (200, 2.0, "candidate")}


def test_a_document_that_cannot_take_effect_leaves_everything_as_it_was(service: Service, admin: Admin) -> None:
    assert admin.put(1, says={"default": "2"}).status == 200
    for generation, models, status, said in (
        (1, {"says": {"default": "1"}}, 409, "another document of generation 1"),
        (0, {}, 409, "expected a generation above 1, got 0"),
        (2, {"says": {"default": "3"}}, 409, "says/3"),
        (2, {"says": {"default": "9"}}, 409, "says version 9 is not served here"),
        (2, {"other": {"default": "1"}}, 409, "other version 1 is not served here"),
        (2, {"says": {"default": "1", "weights": {"1": 50, "2": 51}}}, 422, "expected weights with the sum 100"),
        (2, {"says": {"default": "1", "weight": {}}}, 422, "weight"),
    ):  # fmt: skip
        answer = admin.put(generation, **models)
        assert answer.status == status, answer.json()
        assert said in answer.json()["message"]
        assert admin.request("GET", "/admin/traffic").json()["generation"] == 1
    assert admin.put(1, says={"default": "2"}).status == 200  # the same once more
    assert spread(service, 30) == {(200, 2.0, "default"): 30}
    assert admin.put(2, says={"default": "1"}).status == 200


def test_a_worker_that_starts_later_does_what_is_in_force(service: Service, admin: Admin) -> None:
    assert admin.put(1, says={"default": "2"}).status == 200
    killed = {victim.pid for victim in service.workers()}
    for victim in service.workers():
        victim.kill()
    wait_for(lambda: replaced(service, killed), service.told)
    service.wait_metric(WORKERS, "service_workers", "live")
    assert spread(service, 60) == {(200, 2.0, "default"): 60}


def replaced(service: Service, killed: set[int]) -> bool:
    pids = {worker.pid for worker in service.workers()}
    return len(pids) == WORKERS and not pids & killed


def test_after_a_load_every_worker_serves_it_and_after_an_unload_none_holds_it(service: Service, admin: Admin) -> None:
    loaded = admin.load("says", "2")
    assert (loaded.status, loaded.json()["state"]) == (200, "ready")
    assert service.metrics()["model_ready", ("says", "2")] == WORKERS
    assert spread(service, 30, "/models/says/versions/2/predict") == {(200, 2.0, "named"): 30}
    unloaded = admin.unload("says", "2")
    assert (unloaded.status, unloaded.json()["state"]) == (200, "available")
    assert service.metrics()["model_ready", ("says", "2")] == 0


@pytest.mark.parametrize(
    ("command", "version", "status", "code"),
    [
        ("load", "3", 422, "model_unservable"), ("load", "9", 404, "model_not_found"),
        ("unload", "9", 404, "model_not_found"), ("unload", "1", 409, "conflict"),
    ],
)  # fmt: skip
def test_commands_that_cannot_be_done_say_so(
    service: Service, admin: Admin, command: str, version: str, status: int, code: str
) -> None:
    answer = admin.request("POST", f"/admin/models/says/versions/{version}/{command}")
    assert (answer.status, answer.json()["error"]) == (status, code)
    assert f"says{' version ' if status != 422 else '/'}{version}" in answer.json()["message"]
    assert spread(service, 10) == {(200, 1.0, None): 10}


def test_a_hundred_loads_at_once_load_once_in_each_worker(service: Service, admin: Admin) -> None:
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda _: admin.load("says", "2"), range(100)))
    assert [answer.status for answer in answers] == [200] * 100
    loads = [line for line in service.lines() if line["message"].startswith("loaded says version 2 ")]
    assert len(loads) == WORKERS


def test_unloading_under_load_fails_nobody(service: Service, admin: Admin) -> None:
    load = Load(f"http://127.0.0.1:{service.port}/models/says/versions/2/predict", ROW, rate=200)
    with load.running():
        for _ in range(5):
            assert admin.load("says", "2").status == 200
            assert admin.unload("says", "2").status == 200
    assert load.failures == {}
    assert load.versions.keys() == {"2"}


def test_a_request_is_finished_by_the_version_it_began_with(serve: Any, tmp_path: Path, admin: Admin) -> None:
    root = tmp_path / "models"
    write_bare(root, Says(1), "says", "1")
    write_bare(root, Held(tmp_path / "free"), "held", "1")
    with serve(root, MODEL_NAME="says", **admin.settings) as service, ThreadPoolExecutor(8) as pool:
        assert admin.put(1, held={"default": "1"}).status == 200
        path = "/models/held/predict"
        long = [pool.submit(service.request, "POST", path, json=ROW) for _ in range(4)]
        service.wait_metric(4, "model_requests_in_flight")
        assert admin.put(2).status == 200
        assert admin.unload("held", "1").json()["state"] == "available"
        assert service.metrics()["model_requests_in_flight", ()] == 4
        (tmp_path / "free").touch()
        assert [answer.result().status for answer in long] == [200] * 4


def test_changes_of_traffic_under_load_fail_nobody(service: Service, admin: Admin) -> None:
    load = Load(f"http://127.0.0.1:{service.port}/predict", ROW, rate=200)
    with load.running():
        for generation in range(1, 21):
            weights = {"1": 100 - 5 * generation, "2": 5 * generation}
            assert admin.put(generation, says={"default": "1", "weights": weights}).status == 200
    assert load.failures == {}


def test_what_is_loaded_and_dropped_leaves_nothing_behind(serve: Any, tmp_path: Path, admin: Admin) -> None:
    root = tmp_path / "heavy"
    write_bare(root, Slow(), "slow", "1")
    for number in (1, 2):
        write_bare(root, Heavy(40), "heavy", str(number))
    with serve(root, WORKERS="2", MODEL_NAME="slow", **admin.settings) as service:
        held = {}
        for turn in range(6):
            for number in ("1", "2"):
                row = admin.load("heavy", number)
                assert row.status == 200
                assert 40 << 20 <= row.json()["bytes"] < 60 << 20
                assert ask(service, f"/models/heavy/versions/{number}/predict")[0] == 200
                assert admin.unload("heavy", number).status == 200
            service.wait_metric(2, "service_workers", "live")
            if turn == 0:
                held = resources(service)
        # Threads that loads run in are kept for the next, a few of them; a version's own would be 20 more by now.
        most = {"memory": held["memory"] + (30 << 20), "threads": held["threads"] + 10, "files": held["files"]}
        wait_for(
            lambda: all(resources(service)[name] <= most[name] for name in most),
            lambda: f"{held} became {resources(service)}",
        )


def resources(service: Service) -> dict[str, int]:
    """What the workers hold, all together."""
    workers = service.workers()
    return {
        "memory": service.resident_bytes(),
        "threads": sum(worker.num_threads() for worker in workers),
        "files": sum(worker.num_fds() for worker in workers),
    }


def test_a_budget_that_is_too_small_refuses_and_drops_nothing(serve: Any, tmp_path: Path, admin: Admin) -> None:
    root = tmp_path / "heavy"
    for number in (1, 2, 3):
        write_bare(root, Heavy(20), "heavy", str(number))
    write_bare(root, Heavy(90), "heavy", "4")
    budget = {"MODEL_MEMORY_BYTES": str(80 << 20), "MODEL_NAME": "heavy", "MODEL_VERSION": "1"}
    with serve(root, WORKERS="2", **budget, **admin.settings) as service:
        assert admin.load("heavy", "2").status == 200
        refused = admin.load("heavy", "4")
        assert (refused.status, refused.json()["error"]) == (409, "conflict")
        assert "MODELPORT_MODEL_MEMORY_BYTES" in refused.json()["message"]
        states = {version: row["state"] for (_, version), row in admin.rows().items()}
        assert states.pop("4") in {"available", "failed"}  # the worker that tried knows
        assert states == {"1": "ready", "2": "ready", "3": "available"}
        assert ask(service, "/models/heavy/versions/4/predict")[:2] == (503, "model_not_ready")
        assert ask(service)[0] == 200


def test_a_traffic_file_is_taken_up_at_the_start_and_when_it_changes(serve: Any, root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    file = folder / "traffic.yaml"
    file.write_text("generation: 3\nmodels:\n  says:\n    default: 2\n    pinned: [1]\n")
    with serve(root, WORKERS="2", TRAFFIC_FILE=str(file)) as service:
        assert spread(service, 30) == {(200, 2.0, "default"): 30}
        assert service.metrics()["model_ready", ("says", "1")] == 2
        swap(file, {"generation": 4, "models": {"says": {"default": "1"}}})
        wait_for(lambda: spread(service, 20) == {(200, 1.0, "default"): 20}, service.told)
        swap(file, {"generation": 5, "models": {"says": {"default": "3"}}})
        wait_for(lambda: "does not take effect" in service.told(), service.told)
        assert spread(service, 20) == {(200, 1.0, "default"): 20}


def swap(file: Path, document: Any) -> None:
    """Put another document in a file's place, as a ConfigMap's is: nobody ever reads a half of it."""
    other = file.with_suffix(".new")
    other.write_text(json.dumps(document))
    other.rename(file)


# Time to tell every idle connection to close.
@pytest.mark.parametrize("service", [{"DRAIN_DELAY_SECONDS": "3"}], indirect=True)
def test_a_reload_keeps_what_is_in_force(service: Service, admin: Admin, root: Path) -> None:
    assert admin.put(1, says={"default": "2", "pinned": ["1"]}).status == 200
    write_bare(root, Says(4), "says", "4")
    before = {worker.pid for worker in service.workers()}
    load = Load(f"http://127.0.0.1:{service.port}/predict", ROW, rate=50)
    with load.running():
        service.process.send_signal(signal.SIGHUP)
        wait_for(lambda: before.isdisjoint(worker.pid for worker in service.workers()), service.told)
        service.wait_metric(WORKERS, "service_workers", "live")
    assert load.failures == {}
    assert load.versions.keys() == {"2"}
    assert admin.put(2, says={"default": "4"}).status == 200
    assert spread(service, 30) == {(200, 4.0, "default"): 30}


def test_a_worker_that_cannot_load_what_the_others_serve_is_tried_again(
    service: Service, admin: Admin, root: Path
) -> None:
    assert admin.put(1, says={"default": "2"}).status == 200
    model = root / "says" / "2" / "model.joblib"
    content = model.read_bytes()
    model.write_bytes(b"gone")
    service.workers()[0].kill()
    wait_for(lambda: service.told().count("a worker cannot start") >= 2, service.told)
    assert spread(service, 30) == {(200, 2.0, "default"): 30}
    assert service.request("GET", "/health").status == 200
    model.write_bytes(content)
    service.wait_metric(WORKERS, "service_workers", "live")
    assert spread(service, 30) == {(200, 2.0, "default"): 30}


def test_a_load_that_ends_its_process_ends_one_and_holds_up_nobody(serve: Any, tmp_path: Path, admin: Admin) -> None:
    root = tmp_path / "models"
    write_bare(root, Says(1), "says", "1")
    write_bare(root, Dies(), "dies", "1")
    with serve(root, WORKERS="2", MODEL_NAME="says", **admin.settings) as service:
        before = {worker.pid for worker in service.workers()}
        with pytest.raises(urllib3.exceptions.HTTPError):
            admin.load("dies", "1")
        wait_for(lambda: len({worker.pid for worker in service.workers()} - before) == 1, service.told)
        service.wait_metric(2, "service_workers", "live")
        assert len({worker.pid for worker in service.workers()} & before) == 1
        wait_for(lambda: answers(lambda: admin.put(1, says={"default": "1"}).status == 200), service.told)
        assert spread(service, 20) == {(200, 1.0, "default"): 20}


def answers(request: Callable[[], bool]) -> bool:
    try:
        return request()
    except urllib3.exceptions.HTTPError:
        return False


def test_every_request_is_mirrored_once_however_it_was_answered(serve: Any, root: Path, admin: Admin) -> None:
    with serve(root, MODEL_VERSION="1", **admin.settings) as service:
        assert admin.put(1, says={"default": "1", "shadow": {"version": "2"}}).status == 200
        for turn in range(10):
            body = {"requests": [ROW, ROW]} if turn % 2 else ROW
            path = "/predict/batch" if turn % 2 else "/predict"
            plain = service.request("POST", path, json=body)
            ordinary = service.request("POST", path, json=body, headers={"x-request-timeout-ms": "20000"})
            assert (plain.status, ordinary.status) == (200, 200)
            wait_for(lambda: mirrored(service) == 2 * (turn + 1), service.told)  # noqa: B023 - it ends before the turn
        found = service.metrics()
        if not found["model_shadow_requests_total", ("says", "2", "dropped")]:  # as a busy machine makes it
            assert found["model_shadow_disagreements_total", ("says", "2")] == 30


def mirrored(service: Service) -> float:
    found = service.metrics()
    return sum(found.get(("model_shadow_requests_total", ("says", "2", name)), 0.0) for name in ("ok", "dropped"))


def test_a_shadow_that_hangs_delays_no_answer(serve: Any, tmp_path: Path, admin: Admin) -> None:
    root = tmp_path / "models"
    write_bare(root, Says(1), "model", "1")
    write_bare(root, Hangs(), "model", "2")
    seconds = {"WORKER_TIMEOUT_SECONDS": "8", "REQUEST_TIMEOUT_SECONDS": "4"}
    with serve(root, MODEL_VERSION="1", **seconds, **admin.settings) as service:
        pids = {worker.pid for worker in service.workers()}
        assert admin.put(1, model={"default": "1", "shadow": {"version": "2"}}).status == 200
        load = Load(f"http://127.0.0.1:{service.port}/predict", ROW, rate=200)
        with load.running():
            wait_for(lambda: load.sent > 0, service.told)
            over = time.monotonic() + 9  # so that the shadow's one call takes longer than a worker may be silent
            wait_for(lambda: dropped(service) > 100 and time.monotonic() > over, service.told)
        assert load.failures == {}
        assert admin.put(2, model={"default": "1"}).status == 200
        assert {worker.pid for worker in service.workers()} == pids
        assert service.stop() == 0


def dropped(service: Service) -> float:
    return service.metrics().get(("model_shadow_requests_total", ("model", "2", "dropped")), 0.0)
