"""Looking at pods and putting documents to them, over real connections."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from support.rollout import START

from model_operator.rollout import Address, gather, push
from model_operator.rollout import pods as talking

DOCUMENT = {"generation": 4, "models": {"churn": {"default": "1", "pinned": ["1"]}}}
METRICS = 'model_score_shift{model_name="churn",model_version="1"} 0.5\n'


class Pod(BaseHTTPRequestHandler):
    """Both ports of a pod in one; the class of each server holds its answers by method and path."""

    answers: dict[tuple[str, str], tuple[int, str]]
    asked: list[tuple[str, str, str | None, bytes]]

    def do_GET(self) -> None:
        self.send("GET")

    def do_PUT(self) -> None:
        self.send("PUT")

    def send(self, method: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.asked.append((method, self.path, self.headers.get("Authorization"), body))
        status, text = self.answers.get((method, self.path), (404, "{}"))
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(**answers: tuple[int, str]) -> Iterator[tuple[Address, list[Any]]]:
    """A pod that answers `get`, `put` and `metrics` so."""
    paths = {"get": ("GET", "/admin/traffic"), "put": ("PUT", "/admin/traffic"), "metrics": ("GET", "/metrics")}
    asked: list[Any] = []
    given = {paths[name]: answer for name, answer in answers.items()}
    with ThreadingHTTPServer(("127.0.0.1", 0), type("One", (Pod,), {"answers": given, "asked": asked})) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        port = server.server_address[1]
        yield Address(f"pod-{port}", f"uid-{port}", "127.0.0.1", START, "abc", port, port), asked
        server.shutdown()


def nobody() -> Address:
    """The address of a pod that is gone."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Pod) as server:
        port = server.server_address[1]
    return Address("gone", "uid-gone", "127.0.0.1", START, "abc", port, port)


def test_gather_asks_for_the_document_and_the_metrics() -> None:
    with serving(get=(200, json.dumps(DOCUMENT)), metrics=(200, METRICS)) as (address, asked):
        (pod,) = gather([address], "churn", "secret")
    assert (pod.generation, pod.shifts, pod.rendered, pod.uid) == (4, {"1": 0.5}, "abc", address.uid)
    assert [entry[:3] for entry in asked] == [
        ("GET", "/admin/traffic", "Bearer secret"),
        ("GET", "/metrics", "Bearer secret"),
    ]


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {"get": (401, '{"error": "unauthenticated"}'), "metrics": (200, METRICS)},
        {"get": (200, "<html>"), "metrics": (200, METRICS)},
        {"get": (200, "[]"), "metrics": (200, METRICS)},
    ],
)
def test_a_pod_that_does_not_say_what_is_in_force_is_there_all_the_same(answers: dict[str, tuple[int, str]]) -> None:
    with (
        serving(**answers) as (address, _),
        serving(get=(200, json.dumps(DOCUMENT)), metrics=(200, METRICS)) as (ok, _),
    ):
        seen = gather([address, nobody(), ok], "churn", "secret")
    assert [pod.generation for pod in seen] == [-1, -1, 4]
    assert [dict(pod.counts) for pod in seen] == [{}, {}, {}]
    assert [bool(pod.problem) for pod in seen] == [True, True, False]


def test_metrics_that_cannot_be_read_leave_the_generation() -> None:
    with serving(get=(200, json.dumps(DOCUMENT)), metrics=(200, "model_score_shift{")) as (address, _):
        (pod,) = gather([address], "churn", "secret")
    assert (pod.generation, pod.counts) == (4, {})
    assert pod.problem.endswith("/metrics: ValueError")


def test_metrics_behind_access_control_are_told_of() -> None:
    with serving(get=(200, json.dumps(DOCUMENT)), metrics=(401, "{}")) as (address, _):
        (pod,) = gather([address], "churn", "secret")
    assert pod.problem.endswith("/metrics: HTTP 401")


def test_push_tells_who_took_the_document_and_why_the_others_did_not() -> None:
    refusal = json.dumps({"error": "conflict", "message": "churn version 2 cannot be loaded: wrong answers"})
    with (
        serving(put=(200, json.dumps(DOCUMENT))) as (taker, asked),
        serving(put=(409, refusal)) as (refuser, _),
        serving(put=(503, "busy")) as (busy, _),
    ):
        gone = nobody()
        report = push(DOCUMENT, [taker, refuser, busy, gone], "secret")
    assert report.taken == (taker.name,)
    assert report.refused == {refuser.name: "churn version 2 cannot be loaded: wrong answers"}
    assert report.unreachable == {busy.name: "HTTP 503", gone.name: "NewConnectionError"}
    assert json.loads(asked[0][3]) == DOCUMENT


def test_nobody_to_ask_is_nothing_to_wait_for() -> None:
    assert gather([], "churn", "secret") == ()
    assert push(DOCUMENT, [], "secret").taken == ()


def test_an_address_of_ipv6_is_one() -> None:
    assert talking._host("fd00::7") == "[fd00::7]"
