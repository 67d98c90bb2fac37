"""Is the answer right? Every server is compared with the estimator before its figures count."""

import http.client
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import orjson
from benchmarks.serving.contender import Ask, Reader
from benchmarks.serving.errors import FailedRequests, WrongAnswer

if TYPE_CHECKING:
    from benchmarks.serving.server import Server

TOLERANCE = 1e-5
"""Largest difference of a probability: what `pack` allows between an estimator and its ONNX form."""
TOGETHER = 16
"""Connections that ask at once, so that servers which batch are checked while they do."""


def post(port: int, ask: Ask, timeout: float = 30) -> tuple[int, bytes]:
    """One POST on a connection of its own: status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("POST", ask.path, ask.body, {"Content-Type": "application/json", **ask.headers})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def is_up(server: "Server") -> bool:
    """Whether it answers the first row rightly; anything else is a server that is not ready yet."""
    try:
        check_rows(server, [0])
    except (OSError, http.client.HTTPException, FailedRequests, orjson.JSONDecodeError):
        return False
    return True


def is_healthy(server: "Server") -> bool:
    """Whether `GET /health` says 200, for a server that has it."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def check_all(server: "Server", rows: int = 1) -> None:
    """Ask for the whole pool, `rows` in a request, many requests at once.

    Raises:
        WrongAnswer: a probability differs.
        FailedRequests: an answer was not 200.
    """
    pool = len(server.subject.rows)
    with ThreadPoolExecutor(TOGETHER) as executor:
        for _ in executor.map(lambda start: check_rows(server, server.subject.take(start, rows)), range(0, pool, rows)):
            pass


def check_rows(server: "Server", indices: Sequence[int]) -> None:
    """Ask for these rows of the pool in one request; raises as `check_all`."""
    contender, subject = server.contender, server.subject
    status, body = post(server.port, contender.ask(subject.name, subject.rows[indices].tolist()))
    if status != 200:
        raise FailedRequests(f"{contender.name} answered {status}: {body[:300]!r}")
    if contender.read is not None:
        compare(contender.name, contender.read, body, subject.expected[indices].tolist())


def compare(name: str, read: Reader, body: bytes, expected: list[list[float]]) -> None:
    """Hold an answer against the estimator's.

    Raises:
        WrongAnswer: it has another shape, or a probability differs by more than the tolerance.
    """
    try:
        got = np.asarray(read(orjson.loads(body)), dtype=float)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise WrongAnswer(f"{name} answered what cannot be read ({error!r}): {body[:300]!r}") from error
    wanted = np.asarray(expected)
    if got.shape != wanted.shape or not np.allclose(got, wanted, rtol=0, atol=TOLERANCE):
        raise WrongAnswer(f"{name} answered {got.tolist()} where the estimator says {expected}"[:600])
