"""What tests fetch from: a folder, a web server that can misbehave, emulated buckets, each behind one shape."""

import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit


class Store(Protocol):
    """What a test needs of a scheme."""

    lists: bool

    def put(self, key: str, data: bytes) -> None: ...
    def uri(self, key: str) -> str: ...


@dataclass
class FolderStore:
    root: Path
    lists: bool = True

    def put(self, key: str, data: bytes) -> None:
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def uri(self, key: str) -> str:
        return f"file://{self.root}/{key}"


Fault = Callable[[BaseHTTPRequestHandler, bytes], None]


@dataclass
class WebStore:
    """`faults` are used up one a request, before any good answer; `requests` are the paths that were asked for.

    With `tags` it says which version an object is, and with `ranges` it gives parts. `posted` answers every POST.
    """

    port: int = 0
    objects: dict[str, bytes] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, Message]] = field(default_factory=list)
    lists: bool = False
    tags: bool = True
    ranges: bool = True
    sent: int = 0
    posted: bytes = b""
    server: ThreadingHTTPServer | None = None
    lock: Lock = field(default_factory=Lock)

    def wrap(self, context: ssl.SSLContext) -> None:
        """Speak TLS from now on."""
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)

    def put(self, key: str, data: bytes) -> None:
        self.objects[f"/{key}"] = data

    def uri(self, key: str) -> str:
        return f"http://127.0.0.1:{self.port}/{key}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.requests.append((handler.path, handler.headers))
        path = unquote(urlsplit(handler.path).path)
        data = self.objects.get(path)
        with self.lock:
            fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            fault(handler, data or b"")
        elif data is None:
            reply(handler, 404)
        else:
            self.give(handler, data)

    def give(self, handler: BaseHTTPRequestHandler, data: bytes) -> None:
        """A good answer: what was asked for, or that it is still what was known."""
        tag = f'"{sha256(data).hexdigest()[:16]}"'
        headers = {"ETag": tag} if self.tags else {}
        part = re.fullmatch(r"bytes=(\d+)-(\d*)", handler.headers.get("Range", "")) if self.ranges else None
        if self.tags and handler.headers.get("If-None-Match") == tag:
            reply(handler, 304, **headers)
            return
        if part is None:
            self.count(len(data))
            reply(handler, 200, data, **headers)
            return
        start, stop = int(part[1]), min(int(part[2] or len(data)) + 1, len(data))
        if start >= len(data):
            reply(handler, 416, Content_Range=f"bytes */{len(data)}", **headers)
            return
        self.count(stop - start)
        reply(handler, 206, data[start:stop], Content_Range=f"bytes {start}-{stop - 1}/{len(data)}", **headers)

    def count(self, size: int) -> None:
        """So many bytes are sent, by one of the threads that answer."""
        with self.lock:
            self.sent += size


def reply(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    for name, value in ({"Content-Length": str(len(body))} | headers).items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


@dataclass
class EmulatedStore:
    """A bucket of the emulator."""

    client: Any
    lists: bool = True

    def put(self, key: str, data: bytes) -> None:
        self.client.bucket("models").blob(key).upload_from_string(data)

    def uri(self, key: str) -> str:
        return f"gs://models/{key}"


@dataclass
class S3Store:
    """A bucket of a server that speaks the protocol."""

    client: Any
    lists: bool = True

    def put(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket="models", Key=key, Body=data)

    def uri(self, key: str) -> str:
        return f"s3://models/{key}"


LISTING = ["file", "gs", "s3"]
"""Schemes that can list."""
