"""The open-loop load sends at its rate, counts by status, and notices what is never answered."""

import itertools
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
from benchmarks.serving import openloop
from benchmarks.serving.contender import Ask

ASKS = [Ask("/even", b"[0]"), Ask("/odd", b"[1]")]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b"answer"
        self.send_response({"/even": 200, "/odd": 429}[self.path])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


class HangingUp(Handler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.close_connection = True


@pytest.fixture(autouse=True)
def steady(monkeypatch):
    """A clock that goes on a millisecond with each look, and patience: however busy the machine is."""
    looks = itertools.count()
    monkeypatch.setattr(openloop, "time", SimpleNamespace(perf_counter=lambda: next(looks) / 1000))
    monkeypatch.setattr(openloop, "DRAIN_SECONDS", 60)


@pytest.fixture
def port_of():
    servers = []

    def start(handler):
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server.server_port

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_latencies_are_counted_by_status(port_of):
    outcome = openloop.offer(port_of(Handler), ASKS, rate=200, seconds=0.2)
    counts = {status: len(seen) for status, seen in outcome.latencies.items()}
    assert counts[200] + counts[429] == outcome.sent
    assert abs(counts[200] - counts[429]) <= 1
    assert 30 <= outcome.sent <= 42
    assert outcome.broken == 0
    assert all(0 < latency < 5 for seen in outcome.latencies.values() for latency in seen)


def test_a_connection_that_ends_without_an_answer_is_broken(port_of):
    outcome = openloop.offer(port_of(HangingUp), ASKS, rate=100, seconds=0.1)
    assert outcome.broken == outcome.sent > 0
    assert outcome.latencies == {}
