"""A real HTTP server that answers what a test scripted, and keeps what it was asked."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from support.answering import in_thread

Respond = Callable[["Asked"], tuple[int, Any] | tuple[int, Any, dict[str, str]] | None]


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: Any


def answer(value: Any = 1, **fields: Any) -> dict[str, Any]:
    return {
        "prediction": value,
        "prediction_class": str(value),
        "probability": 0.75,
        "probabilities": {"0": 0.25, "1": 0.75},
        "model_name": "churn",
        "model_version": "3",
        "prediction_id": "0b2d",
        "timestamp": "2026-01-02T03:04:05Z",
    } | fields


def echo(asked: Asked) -> tuple[int, Any]:
    """Answer a batch with each row's first value, so that order can be seen."""
    rows = [item["features"] for item in asked.body["requests"]]
    first = [next(iter(row.values())) if isinstance(row, dict) else row[0] for row in rows]
    return 200, {"predictions": [answer(v) for v in first], "batch_size": len(rows), "processing_time": 0.5}


@dataclass
class Scripted:
    """Answers with `script` in turn, the last one for ever; null closes the connection without an answer."""

    url: str = ""
    script: list[Respond] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    answer = staticmethod(answer)
    echo = staticmethod(echo)

    def says(self, *script: Respond | tuple[Any, ...] | None) -> "Scripted":
        self.script = [item if callable(item) else (lambda _, item=item: item) for item in script]
        return self


@pytest.fixture
def slept(monkeypatch) -> list[float]:
    """Seconds that were waited for, without waiting."""
    seconds: list[float] = []
    monkeypatch.setattr("time.sleep", seconds.append)
    return seconds


@pytest.fixture
def server() -> Iterator[Scripted]:
    scripted = Scripted()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            length = int(self.headers.get("content-length", 0))
            body = json.loads(self.rfile.read(length)) if length else None
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, self.path, headers, body)
            respond = scripted.script[min(len(scripted.asked), len(scripted.script) - 1)]
            scripted.asked.append(asked)
            said = respond(asked)
            if said is None:
                self.close_connection = True
                return
            status, content, *more = said
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in (more[0] if more else {}).items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _serve  # noqa: N815 - names that the base class calls

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scripted.url = f"http://127.0.0.1:{http.server_port}"
    with in_thread(http):
        yield scripted
