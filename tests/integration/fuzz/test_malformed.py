"""Malformed requests against a real server: it answers each with a client's error, stays up, and does not grow.

`FUZZ_REQUESTS` says how many (`make fuzz` sends 100,000), `FUZZ_SEED` which.
"""

import json
import os
import socket
import statistics
import time
from collections import Counter
from contextlib import suppress

from support.attacks import Attack, attacks
from support.framing import request
from support.service import Service

REQUESTS = int(os.environ.get("FUZZ_REQUESTS", "5000"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
PATIENCE = 20.0
SAMPLES = 40
MAX_GROWTH = 8 << 20


class Line:
    """A connection that is opened again when the server has closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def ask(self, attack: Attack) -> tuple[int, bytes]:
        """Status and body of the answer; status 0 for none."""
        if not attack.framed:
            return self._once(attack.data)
        answer = self._framed(attack.data)
        return answer if answer[0] else self._framed(attack.data)  # the server may close what was idle

    def _framed(self, data: bytes) -> tuple[int, bytes]:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), PATIENCE)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(ConnectionError):
            self._socket.sendall(data)
        received = b""
        with suppress(ConnectionError):
            while b"\r\n\r\n" not in received and (piece := self._socket.recv(1 << 16)):
                received += piece
        head, _, body = received.partition(b"\r\n\r\n")
        headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        missing = int(headers.get(b"content-length", b"0")) - len(body)
        while missing > 0 and (piece := self._socket.recv(missing)):
            body, missing = body + piece, missing - len(piece)
        if not head or headers.get(b"connection") == b"close":
            self._socket.close()
            self._socket = None
        return (int(head.split()[1]), body) if head else (0, b"")

    def _once(self, data: bytes) -> tuple[int, bytes]:
        received = b""
        with socket.create_connection(("127.0.0.1", self._port), PATIENCE) as once, suppress(ConnectionError):
            once.sendall(data)
            once.shutdown(socket.SHUT_WR)
            while piece := once.recv(1 << 16):
                received += piece
        head, _, body = received.partition(b"\r\n\r\n")
        return (int(head.split()[1]), body) if head else (0, b"")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()


def refusal_is_told(body: bytes) -> bool:
    document = json.loads(body)
    return set(document) == {"error", "message", "detail"} and "Traceback" not in document["message"]


def test_no_malformed_request_breaks_the_service(service: Service) -> None:
    workers, line = service.workers(), Line(service.port)
    statuses, kinds, wrong = Counter[int](), Counter[str](), list[str]()
    memory: list[int] = []
    started = time.monotonic()
    for number, attack in enumerate(attacks(SEED, REQUESTS)):
        status, body = line.ask(attack)
        statuses[status] += 1
        kinds[attack.kind] += 1
        bad = (
            status >= 500
            or (attack.framed and status == 0)
            or (attack.framed and status >= 400 and not refusal_is_told(body))
        )
        if bad:
            wrong.append(f"{attack.kind}: {status} {body[:200]!r} to {attack.data[:300]!r}")
        if number % (REQUESTS // SAMPLES) == 0 and number > REQUESTS // 4:
            memory.append(service.resident_bytes())
    seconds = time.monotonic() - started
    slope = statistics.linear_regression(range(len(memory)), memory).slope * SAMPLES
    print(
        f"\n{REQUESTS} malformed requests of {len(kinds)} kinds (seed {SEED}) in {seconds:.0f} s: "
        f"{len(wrong)} wrong answers, {sum(count for status, count in statuses.items() if status >= 500)} x 5xx, "
        f"{len(set(workers) - set(service.workers()))} crashes, memory {slope / (1 << 20):+.1f} MiB over the run, "
        f"answers {dict(sorted(statuses.items()))}"
    )
    status, body = line.ask(Attack("valid", request(body=b'{"features": [5.1, 3.5, 1.4, 0.2]}')))
    line.close()
    assert not wrong, "\n".join(wrong[:20])
    assert (status, json.loads(body)["prediction_class"]) == (200, "setosa")
    assert service.workers() == workers
    troubles = [
        text
        for text in service.log.read_text().splitlines()
        if '"level":"error"' in text or '"level":"critical"' in text
    ]
    assert not troubles, troubles[:5]
    assert slope < MAX_GROWTH
