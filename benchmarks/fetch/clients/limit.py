"""The most that this machine can take: plain sockets that ask for ranges and throw away what they get.

`limit.py ADDRESS` of an object, or of a folder with a manifest.json; nothing is written and nothing is hashed.
"""

import json
import socket
import sys
import threading
from queue import Empty, SimpleQueue
from urllib.parse import urlsplit

CONNECTIONS = 16
PART = 8 << 20


def ask(connection: socket.socket, buffer: bytearray, path: str, extra: str = "") -> tuple[bytes, bytes]:
    """Ask for a path; returns the head, and the body where it fits the buffer."""
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{extra}\r\n".encode())
    first = bytearray()
    while b"\r\n\r\n" not in first:
        first += connection.recv(1 << 16)
    head, _, body = bytes(first).partition(b"\r\n\r\n")
    size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    got, fits = len(body), size <= len(buffer)
    buffer[: len(body)] = body
    view = memoryview(buffer)
    while got < size:
        got += connection.recv_into(view[got:size] if fits else view[: size - got])
    return head, bytes(view[:size]) if fits else b""


def work(address: tuple[str, int], tasks: "SimpleQueue[tuple[str, str]]") -> None:
    """Take tasks until there are none."""
    buffer = bytearray(1 << 20)
    with socket.create_connection(address) as connection:
        while True:
            try:
                path, extra = tasks.get_nowait()
            except Empty:
                return
            ask(connection, buffer, path, extra)


def main(url: str) -> None:
    """Read everything."""
    parts = urlsplit(url)
    address = (parts.hostname or "", parts.port or 80)
    tasks: SimpleQueue[tuple[str, str]] = SimpleQueue()
    with socket.create_connection(address) as connection:
        if url.endswith(".onnx"):
            head, _ = ask(connection, bytearray(1 << 20), parts.path, "Range: bytes=0-0\r\n")
            size = int(head.lower().split(b"content-range: bytes 0-0/")[1].split(b"\r\n")[0])
            for start in range(0, size, PART):
                tasks.put((parts.path, f"Range: bytes={start}-{min(start + PART, size) - 1}\r\n"))
        else:
            _, manifest = ask(connection, bytearray(1 << 20), f"{parts.path}/manifest.json")
            for entry in json.loads(manifest)["files"]:
                tasks.put((f"{parts.path}/{entry['path']}", ""))
    workers = [threading.Thread(target=work, args=(address, tasks)) for _ in range(CONNECTIONS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


if __name__ == "__main__":
    main(sys.argv[1])
