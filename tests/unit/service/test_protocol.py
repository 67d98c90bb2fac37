"""What a connection may do: sizes of heads, slowness, silence, garbage."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from model_service.protocol import Guard, GuardedProtocol

LIMIT = 2048
BUSY_SECONDS = 0.5
COUNTED: list[int] = []
"""The statuses of refusals, in the order they were given."""
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[Any]]


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the size of the body; on some paths before it has come, or late."""
    size, more = 0, True
    if scope["path"] == "/early":
        await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/busy":
        await asyncio.sleep(BUSY_SECONDS)
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message["body"]), message["more_body"]
    content = b"%d" % size
    if scope["path"] != "/early":
        headers = [(b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def stop(state: ServerState, when: Callable[[ServerState], object]) -> None:
    """Have a server leave its connections as soon as something holds of it."""
    while not when(state):  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0)
    for connection in state.connections:
        connection.shutdown()


def talk(conversation: Talk, *, read_seconds: float = 30, keep_alive: float = 30, stop_when: Any = None) -> Any:
    """Run one conversation with a server on a free port, which is stopped when `stop_when` says so."""

    async def run() -> Any:
        http: Any = partial(GuardedProtocol, guard=Guard(LIMIT, read_seconds, COUNTED.append))
        config = Config(echo, http=http, lifespan="off", ws="none", timeout_keep_alive=keep_alive, log_config=None)  # type: ignore[arg-type]
        config.load()
        state = ServerState()
        make = lambda: config.http_protocol_class(config=config, server_state=state, app_state={})  # type: ignore[call-arg]  # noqa: E731
        server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        stopping = [asyncio.create_task(stop(state, stop_when))] if stop_when else []
        try:
            answer = await asyncio.wait_for(conversation(reader, writer), 20)
            await asyncio.gather(*state.tasks, *stopping)
            return answer
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            server.close()
            await server.wait_closed()

    return asyncio.run(run())


def says(*pieces: bytes) -> Talk:
    """Send pieces one by one, and read until the server closes."""

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        for piece in pieces:
            with suppress(ConnectionError):
                writer.write(piece)
                await writer.drain()
            for _ in range(10):  # turns of the loop in which the server takes it
                await asyncio.sleep(0)
        return await reader.read()

    return conversation


def refused(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"connection: close" in head
    assert b"content-type: application/json" in head
    assert set(json.loads(body)) == {"error", "message", "detail"}
    assert COUNTED.pop() == int(head.split()[1])
    return int(head.split()[1]), json.loads(body)["error"]


CLOSE = b"connection: close\r\n\r\n"


def test_a_request_in_one_piece_and_in_many_is_answered() -> None:
    request = b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n" + CLOSE + b"abc"
    assert talk(says(request)).endswith(b"\r\n\r\n3")
    assert talk(says(*(request[at : at + 1] for at in range(len(request))))).endswith(b"\r\n\r\n3")


def test_a_connection_is_used_again_and_pipelined() -> None:
    one = b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\na"
    last = b"GET /x HTTP/1.1\r\nhost: a\r\n" + CLOSE
    assert talk(says(one * 3 + last)).count(b"HTTP/1.1 200") == 4


@pytest.mark.parametrize(
    "pieces",
    [
        [b"GET / HTTP/1.1\r\nx: " + b"y" * 4000],
        [b"GET / HTTP/1.1\r\n", b"x: y\r\n" * 300, b"x: y\r\n" * 100],
        [b"GET /" + b"y" * 4000],
        [b"GET / HTTP/1.1\r\nx: " + b"y" * 4000 + b"\r\n\r\n"],
        [b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", b"x: y\r\n" * 300, b"x: y\r\n" * 100],
        [b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1;" + b"e" * 4000],
    ],
    ids=["long header", "many headers", "long line", "at once", "trailers", "chunk extension"],
)
def test_whatever_is_not_body_is_bounded(pieces: list[bytes]) -> None:
    assert refused(talk(says(*pieces))) == (431, "head_too_large")


def test_a_large_body_is_no_head() -> None:
    body = b"a" * 500_000
    head = b"POST / HTTP/1.1\r\ncontent-length: %d\r\n" % len(body) + CLOSE
    assert talk(says(head + body)).endswith(b"\r\n\r\n500000")
    chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:1000],) * 500]
    chunked = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n" + CLOSE
    assert talk(says(chunked, *chunks, b"0\r\n\r\n")).endswith(b"\r\n\r\n500000")


@pytest.mark.parametrize(
    "piece",
    [
        b"GET / HTTP/1.1\r\nhost: a\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\nabc",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n",
    ],
    ids=["head", "body", "chunks"],
)
def test_a_request_that_does_not_arrive_in_time_is_answered_408(piece: bytes) -> None:
    assert refused(talk(says(piece), read_seconds=0.05)) == (408, "request_timeout")


def test_a_trickle_does_not_gain_time() -> None:
    """It ends: whether the client sees the answer, or that its next byte comes too late, is up to the network."""

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer = asyncio.create_task(reader.read())
        writer.write(b"POST / HTTP/1.1\r\ncontent-length: 100000\r\n\r\n")
        while not answer.done():
            writer.write(b"a")
            await asyncio.sleep(0.01)
        with suppress(ConnectionError):
            assert refused(await answer) == (408, "request_timeout")

    talk(trickle, read_seconds=0.1)


def test_an_answer_that_has_begun_is_not_mixed_with_another() -> None:
    answer = talk(says(b"POST /early HTTP/1.1\r\ncontent-length: 9\r\n\r\nabc"), read_seconds=0.1)
    assert answer.count(b"HTTP/1.1") == 1
    assert answer.startswith(b"HTTP/1.1 200")


def test_time_does_not_run_while_it_is_the_server_that_does_not_read() -> None:
    """A pipelined request whose rest is not read yet waits for the one before it."""
    first = b"POST /busy HTTP/1.1\r\ncontent-length: 2\r\n\r\naa"
    second = b"POST / HTTP/1.1\r\ncontent-length: 2\r\n" + CLOSE + b"b"
    # The time is over twice while the first one is answered, and then not again soon.
    answer = talk(says(first + second, b"b"), read_seconds=BUSY_SECONDS / 2.5)
    assert answer.count(b"HTTP/1.1 200") == 2


def test_a_stop_closes_what_is_idle_and_finishes_the_rest() -> None:
    request = b"POST /busy HTTP/1.1\r\ncontent-length: 1\r\n\r\na"
    answer = talk(says(request), stop_when=lambda state: state.tasks)
    assert b"connection: close" in answer
    assert answer.endswith(b"\r\n\r\n1")
    answer = talk(says(b"GET / HTTP/1.1\r\n\r\n"), stop_when=lambda state: state.total_requests)
    assert answer.endswith(b"\r\n\r\n0")


@pytest.mark.parametrize(
    ("before", "seconds"), [(b"", 0.05), (b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", 1)], ids=["new", "used"]
)
def test_a_silent_connection_is_closed(before: bytes, seconds: float) -> None:
    """The time runs from the start: in a second the request of the used one arrives, however busy the machine is."""
    answer = talk(says(before), keep_alive=seconds)
    assert answer.count(b"HTTP/1.1") == bool(before)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"HELO there\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_not_http_is_told_so(garbage: bytes) -> None:
    assert refused(talk(says(garbage))) == (400, "malformed_request")
