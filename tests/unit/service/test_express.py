"""The express way: plain requests take it, and what can go wrong on it."""

import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.access import key_entry
from support.batching import samples
from support.bundles import Packed
from support.connected import Connected, connected
from support.estimators import Held
from support.framing import request

from model_artifact.signature import Feature, Output, Signature
from model_service import app as application
from model_service.access.settings import AccessSettings
from model_service.answers import Writer
from model_service.api.hot import HotRoutes
from model_service.app import create_app
from model_service.limits.settings import LimitsSettings, Rule
from model_service.settings import Settings
from model_service.telemetry.spans import Provider

ONE = b'{"features": [5.1, 3.5, 1.4, 0.2]}'
MANY = b'{"requests": [{"features": [5.1, 3.5, 1.4, 0.2]}, {"features": [6.2, 3.4, 5.4, 2.3]}]}'
JSON = {"content-type": "application/json"}
SIGNATURE = Signature("regression", "matrix", (Feature("x", "float64"),), (Output("prediction", "float64"),))
Serve = Callable[..., Connected]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start the application on a bundle's root; keywords are settings."""
    with ExitStack() as stack:

        def start(packed: Packed, read_seconds: float = 20, **settings: Any) -> Connected:
            app = create_app(Settings(model_root=packed.root, **settings))
            return stack.enter_context(connected(app, read_seconds=read_seconds))

        yield start


@pytest.fixture
def iris_client(serve: Serve, iris_bundle: Packed) -> Connected:
    return serve(iris_bundle)


@pytest.fixture
def held(serve: Serve, write_bundle: Any) -> Iterator[Callable[..., Connected]]:
    """Serve a model that is held until the test ends or frees it."""

    def start(**settings: Any) -> Connected:
        client = serve(write_bundle({"joblib": Held()}, signature=SIGNATURE), allow_pickle=True, **settings)
        Held.hold()
        return client

    yield start
    Held.free.set()


@pytest.fixture
def ordinary(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of requests that came to the hot routes, so not by express."""
    seen: list[str] = []
    call = HotRoutes.__call__

    def spy(self: HotRoutes, scope: Any, receive: Any, send: Any) -> Any:
        seen.append(scope["path"])
        return call(self, scope, receive, send)

    monkeypatch.setattr(HotRoutes, "__call__", spy)
    return seen


def metric(client: Connected, name: str, *labels: str) -> float:
    return samples(client.get("/metrics").text).get((name, labels), 0.0)


def wait_metric(client: Connected, wanted: float, name: str, *labels: str) -> None:
    while metric(client, name, *labels) != wanted:
        pass


def talk(client: Connected, *pieces: bytes) -> socket.socket:
    """Send bytes on a connection of their own."""
    connection = socket.create_connection(("127.0.0.1", client.port), 20)
    for piece in pieces:
        connection.sendall(piece)
    return connection


def read(connection: socket.socket, answers: int) -> list[tuple[int, Any]]:
    """Status and body of so many answers."""
    found = []
    with connection.makefile("rb") as stream:
        for _ in range(answers):
            status = int(stream.readline().split()[1])
            length = 0
            while (line := stream.readline()) != b"\r\n":
                name, _, value = line.lower().partition(b":")
                length = int(value) if name == b"content-length" else length
            found.append((status, json.loads(stream.read(length))))
    return found


@pytest.mark.parametrize(("path", "body"), [("/predict", ONE), ("/predict/batch", MANY)])
def test_plain_requests_take_it(iris_client: Connected, ordinary: list[str], path: str, body: bytes) -> None:
    assert iris_client.post(path, content=body, headers=JSON).status_code == 200
    assert ordinary == []


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "application/json; charset=utf-8"},
        {**JSON, "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
        {**JSON, "connection": "close"},
    ],
)  # fmt: skip
def test_a_request_that_asks_for_more_does_not(
    iris_client: Connected, ordinary: list[str], headers: dict[str, str]
) -> None:
    assert iris_client.post("/predict", content=ONE, headers=headers).status_code == 200
    assert ordinary == ["/predict"]


FAR = {"limits": LimitsSettings(rules=(Rule(per="address", rate="3/hour"),)), "trusted_proxies": ("10.0.0.0/8",)}


@pytest.mark.parametrize(
    "setting",
    [{"gzip_min_bytes": 10}, {"cors_allow_origins": ("https://a.example",)}, {"log_input_fields": ("x",)}, FAR],
    ids=["gzip", "cors", "logged inputs", "far addresses"],
)
def test_what_has_a_say_turns_it_off(
    serve: Serve, iris_bundle: Packed, ordinary: list[str], setting: dict[str, Any]
) -> None:
    assert serve(iris_bundle, **setting).post("/predict", content=ONE, headers=JSON).status_code == 200
    assert ordinary == ["/predict"]


def test_whose_key_is_known_takes_it_and_nobody_else(
    serve: Serve, iris_bundle: Packed, ordinary: list[str], tmp_path: Path
) -> None:
    roles = {
        "may": {"roles": ["predict"]},
        "looks": {"roles": ["docs"]},
        "some": {"roles": ["predict"], "models": ["x"]},
    }
    (tmp_path / "keys.json").write_text(json.dumps([key_entry(name, name, **more) for name, more in roles.items()]))
    client = serve(iris_bundle, access=AccessSettings(keys_file=tmp_path / "keys.json"))

    def ask(**headers: str) -> int:
        status: int = client.post("/predict", content=ONE, headers={**JSON, **headers}).status_code
        return status

    assert ask(**{"x-api-key": "may"}) == ask(authorization="Bearer may") == 200
    assert ordinary == []
    assert [ask(), ask(**{"x-api-key": "wrong"}), ask(**{"x-api-key": "looks"}), ask(**{"x-api-key": "some"})] == [
        401, 401, 403, 403,
    ]  # fmt: skip


def test_rates_are_held_and_told_as_they_are_elsewhere(serve: Serve, iris_bundle: Packed, ordinary: list[str]) -> None:
    rules = (Rule(per="address", rate="3/hour"), Rule(per="model", rate="100/hour"))
    client = serve(iris_bundle, limits=LimitsSettings(rules=rules))
    first, second, third, fourth = [
        client.post(f"/predict{query}", content=ONE, headers=JSON) for query in ("", "?x=1", "", "")
    ]
    assert ordinary == ["/predict"]
    assert [answer.status_code for answer in (first, second, third, fourth)] == [200, 200, 200, 429]
    assert first.headers["ratelimit-policy"] == second.headers["ratelimit-policy"]
    left = [answer.headers["ratelimit"].split(";")[1] for answer in (first, second, third, fourth)]
    assert left == ["r=2", "r=1", "r=0", "r=0"]


def test_answers_on_one_connection_come_in_order(iris_client: Connected) -> None:
    wrong = request(body=b'{"features": [1]}')
    with talk(iris_client, request(body=ONE) + wrong + request(body=ONE), request(body=ONE)) as connection:
        answers = read(connection, 4)
    assert [status for status, _ in answers] == [200, 422, 200, 200]


def test_a_body_that_comes_in_pieces_is_one(iris_client: Connected, ordinary: list[str]) -> None:
    whole = request(body=ONE)
    with talk(iris_client, *(whole[at : at + 7] for at in range(0, len(whole), 7))) as connection:
        assert read(connection, 1)[0][0] == 200
    assert ordinary == []


def test_a_body_that_stops_coming_is_told_so(serve: Serve, iris_bundle: Packed) -> None:
    with talk(serve(iris_bundle, read_seconds=0.05), request(body=ONE)[:-5]) as connection:
        ((status, body),) = read(connection, 1)
    assert (status, body["error"]) == (408, "request_timeout")


def test_a_client_that_leaves_before_its_body_is_whole_is_logged(iris_client: Connected, ordinary: list[str]) -> None:
    talk(iris_client, request(body=ONE)[:-5]).close()
    while not ordinary:
        iris_client.get("/health")


def test_what_the_model_refuses_fails_alone(held: Callable[..., Connected]) -> None:
    client = held()
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(client.post, "/predict", json={"features": [1.0]})
        Held.wait_entered()
        asked = [pool.submit(client.post, "/predict", json={"features": [value]}) for value in (-1.0, 3.0)]
        wait_metric(client, 3, "model_requests_in_flight")
        Held.free.set()
        answers = [first.result(), *(answer.result() for answer in asked)]
    assert [answer.status_code for answer in answers] == [200, 500, 200]
    assert answers[1].json()["error"] == "prediction_failed"
    assert "canary" not in answers[1].text
    assert metric(client, "model_requests_in_flight") == 0
    assert metric(client, "http_server_active_requests") == 1  # the scrape itself


@pytest.mark.parametrize(
    ("seconds", "headers"), [(0.1, {}), (30, {"x-request-timeout-ms": "100"}), (0.1, {"x-request-timeout-ms": "90000"})]
)
def test_a_deadline_holds(
    held: Callable[..., Connected], ordinary: list[str], seconds: float, headers: dict[str, str]
) -> None:
    client = held(request_timeout_seconds=seconds)
    answer = client.post("/predict", json={"features": [1.0]}, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (504, "deadline_exceeded")
    assert "/predict" not in ordinary


def test_a_client_that_leaves_is_not_computed_for(held: Callable[..., Connected]) -> None:
    client = held()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.post, "/predict", json={"features": [1.0]})
        Held.wait_entered()
        leaving = talk(client, request(body=b'{"features": [2.0]}'))
        wait_metric(client, 2, "model_requests_in_flight")
        leaving.close()
        wait_metric(client, 1, "model_requests_in_flight")
        Held.free.set()
        assert first.result().status_code == 200
    assert metric(client, "model_requests_cancelled_total", "iris", "1") == 1
    assert metric(client, "model_batch_rows_sum", "iris", "1") == 1
    assert metric(client, "model_request_duration_seconds_count", "iris", "1", "default", "cancelled") == 1
    assert metric(client, "http_server_request_duration_seconds_count", "POST", "/predict", "200") == 1
    assert metric(client, "http_server_request_duration_seconds_count", "POST", "/predict", "499") == 0
    assert metric(client, "http_server_request_duration_seconds_count", "POST", "/predict", "500") == 0


def test_a_full_queue_refuses_as_it_does_elsewhere(held: Callable[..., Connected]) -> None:
    client = held(queue_max_rows=1)
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(client.post, "/predict", json={"features": [1.0]})]
        Held.wait_entered()
        waiting.append(pool.submit(client.post, "/predict", json={"features": [2.0]}))
        wait_metric(client, 2, "model_requests_in_flight")
        refused = client.post("/predict", json={"features": [3.0]})
        Held.free.set()
        assert [answer.result().status_code for answer in waiting] == [200, 200]
    assert (refused.status_code, refused.json()["error"]) == (429, "overloaded")
    assert refused.headers["retry-after"] == "1"


def test_an_answer_that_cannot_be_written_is_a_500(
    iris_client: Connected, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("canary")

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "one", fail)
        answer = iris_client.post("/predict", content=ONE, headers=JSON)
    assert (answer.status_code, answer.json()["error"]) == (500, "internal_error")
    assert "canary" in caplog.text
    assert iris_client.post("/predict", content=ONE, headers=JSON).status_code == 200


def test_a_fault_of_ours_goes_the_ordinary_way(
    iris_client: Connected, monkeypatch: pytest.MonkeyPatch, ordinary: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("canary")

    monkeypatch.setattr("model_service.schema.Schema.quick_one", fail)
    assert iris_client.post("/predict", content=ONE, headers=JSON).status_code == 200
    assert ordinary == ["/predict"]
    assert "ordinary way" in caplog.text


def test_a_sampled_request_is_traced(
    serve: Serve, iris_bundle: Packed, monkeypatch: pytest.MonkeyPatch, ordinary: list[str]
) -> None:
    exporter = InMemorySpanExporter()
    provider = Provider(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(application, "make_provider", lambda: provider)
    answer = serve(iris_bundle).post("/predict", content=ONE, headers=JSON)
    assert ordinary == []
    while len(exporter.get_finished_spans()) < 3:
        """The last one ends after the answer has left."""
    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert spans.keys() == {"POST /predict", "queue", "predict"}
    (trace_id,) = {span.context.trace_id for span in spans.values() if span.context is not None}
    assert answer.headers["traceparent"].split("-")[1] == f"{trace_id:032x}"


def test_a_connection_that_the_server_leaves_gets_its_answer_first(held: Callable[..., Connected]) -> None:
    client = held()
    with talk(client, request(body=b'{"features": [2.0]}')) as busy:
        Held.wait_entered()
        client.close_connections()
        Held.free.set()
        ((status, _),) = read(busy, 1)
        assert status == 200
        assert busy.recv(1) == b""


def test_an_access_line_tells_what_the_ordinary_one_does(
    iris_client: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = iris_client.app.state.lines
    written: list[Any] = []
    monkeypatch.setattr(lines, "write", lambda facts: written.append(lines._fields(facts)))
    monkeypatch.setattr(type(lines), "wanted", property(lambda _: True))
    for query in ("", "?x=1"):
        iris_client.post(f"/predict{query}", content=ONE, headers={**JSON, "x-request-id": "abc"})
    while len(written) < 2:
        """The ordinary line is written after the answer has left."""
    express, ordinary = ({key: value for key, value in line.items() if key != "duration_ms"} for line in written)
    assert express == ordinary
