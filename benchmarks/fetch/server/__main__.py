"""The server's process: `python -m benchmarks.fetch.server OBJECTS RATE LATENCY` prints its port and serves.

It ends with its standard input, so that it never outlives the harness. `GET /-/log` gives what was asked since the last
such request, and is neither capped nor late.
"""

import asyncio
import json
import socket
import sys
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import cast

from benchmarks.fetch.server import protocols
from benchmarks.fetch.server.answers import Answer, Request
from benchmarks.fetch.server.blob import Blob, load
from benchmarks.fetch.server.connection import Connection, Limits, Log

LOG = "/-/log"


def _answer(blob: Blob, log: Log, request: Request) -> Answer:
    if request.path != LOG:
        return protocols.answer(blob, request)
    told = json.dumps(asdict(log)).encode()
    vars(log).update(vars(Log(requests=-1, connections=-1)))  # neither this request nor the next such connection counts
    return Answer(200, told)


async def serve(objects: Path, limits: Limits) -> None:
    """Accept connections until standard input ends."""
    blob, log = load(objects), Log()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin, cast("asyncio.Task[None]", asyncio.current_task()).cancel)
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener, blob.path.open("rb") as file:
        listener.setblocking(False)
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        serving: set[asyncio.Task[None]] = set()
        while True:
            client, _ = await loop.sock_accept(listener)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(client, file, partial(_answer, blob, log), replace(limits), log)
            task = loop.create_task(connection.serve())
            serving.add(task)
            task.add_done_callback(serving.discard)


if __name__ == "__main__":
    with suppress(asyncio.CancelledError):
        asyncio.run(serve(Path(sys.argv[1]), Limits(float(sys.argv[2]), float(sys.argv[3]))))
