"""A server is started, awaited, weighed and stopped; one that lies or dies is told with its last words."""

import sys
from pathlib import Path

import numpy as np
import orjson
import psutil
import pytest
from benchmarks.serving import answers
from benchmarks.serving.contender import Ask, Contender, Launch, json_bytes
from benchmarks.serving.errors import FailedRequests, ServerFailed, WrongAnswer
from benchmarks.serving.server import running
from benchmarks.serving.subjects import Subject

PROGRAM = """
import json, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200, b"fine")
    def do_POST(self):
        rows = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, shift = {modes}[sys.argv[2]]
        self.answer(status, json.dumps([[row[0] + shift, 1 - row[0] - shift] for row in rows]).encode())
    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

if sys.argv[2] == "dies":
    sys.exit("no model here")
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
""".replace("{modes}", repr({"right": (200, 0.0), "wrong": (200, 0.125), "refuses": (500, 0.0)}))
ROWS = np.linspace(0.1, 0.9, 5)[:, None]


def contender(mode):
    return Contender(
        mode,
        "",
        lambda site: Launch([sys.executable, "-c", PROGRAM, str(site.port), mode]),
        lambda _, rows: Ask("/", json_bytes(rows)),
        lambda answer: answer,
    )


@pytest.fixture
def subject():
    return Subject("half", Path("unused"), {}, ROWS, np.hstack([ROWS, 1 - ROWS]))


def test_a_server_that_answers_rightly_is_measured_and_leaves_nothing_behind(subject):
    with running(contender("right"), subject, "") as server:
        answers.check_all(server)
        answers.check_all(server, rows=8)
        assert answers.is_healthy(server)
        assert server.start_s > 0
        assert 1 < server.pss_mb() < 1000
        assert server.memory_mb() > 0
        pid = server.process.pid
    assert not psutil.pid_exists(pid)
    assert server.tree() == []


def test_a_wrong_answer_is_not_taken_for_readiness(subject):
    with pytest.raises(WrongAnswer, match="wrong answered"), running(contender("wrong"), subject, ""):
        pass


def test_a_server_that_ends_is_told_with_its_last_lines(subject):
    with pytest.raises(ServerFailed, match="status 1") as failed, running(contender("dies"), subject, ""):
        pass
    assert "no model here" in str(failed.value)


def test_another_status_fails_the_check(subject):
    with running(contender("refuses"), subject, "", ready=answers.is_healthy) as server:
        assert not answers.is_up(server)
        with pytest.raises(FailedRequests, match="refuses answered 500"):
            answers.check_all(server)


def test_bodies_are_compact_json():
    assert json_bytes({"rows": np.array([[1.5]])}) == b'{"rows":[[1.5]]}'
    assert orjson.loads(json_bytes([1])) == [1]
