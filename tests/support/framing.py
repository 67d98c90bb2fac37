"""A request as bytes, and bytes that are no request."""

import random
from collections.abc import Callable

ONE = b'{"features": [1, 1, 1, 1]}'
GET = b"GET /health HTTP/1.1\r\n"
OTHER_PROTOCOLS = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"GET /\r\n",
    b"OPTIONS * HTTP/1.1\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\r\n" * 300,
    b"GET http://[::1 HTTP/1.1\r\n\r\n",
    GET + b"upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-key: x\r\nsec-websocket-version: 13\r\n\r\n",
    GET + b"upgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AA\r\n\r\n",
    (GET + b"expect: 100-continue\r\n\r\n") * 50,
    b"HEAD /predict HTTP/1.1\r\n\r\n",
    b"GET " + b"/" * 70_000,
    GET + b"x: y\r\n" * 15_000,
)


def request(method: str = "POST", path: str = "/predict", body: bytes = b"", **headers: str | bytes) -> bytes:
    """A whole request; a header's name is written with underscores, and null leaves out a default one."""
    given: dict[str, str | bytes] = {"host": "a", "content_type": "application/json", **headers}
    lines = [f"{method} {path} HTTP/1.1".encode("latin-1"), b"content-length: %d" % len(body)]
    for name, value in given.items():
        text = value if isinstance(value, bytes) else value.encode("latin-1")
        lines.append(name.replace("_", "-").encode() + b": " + text)
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def _noise(chance: random.Random) -> bytes:
    return chance.randbytes(chance.choice([1, 16, 300, 4000]))


def _broken_head(chance: random.Random) -> bytes:
    data = bytearray(request(body=b'{"features": [1, 1, 1, 1]}'))
    for _ in range(chance.randint(1, 4)):
        data[chance.randrange(80)] = chance.randrange(256)
    return bytes(data)


def _cut(chance: random.Random) -> bytes:
    data = request(body=ONE)
    return data[: chance.randrange(1, len(data))]


def _framing(chance: random.Random) -> bytes:
    lengths = [b"-1", b"99999999999999999999999", b"1, 2", b"0x10", b" ", b"1\r\ncontent-length: 2"]
    chunks = [
        b"zz\r\n",
        b"ffffffffffffffffff\r\na\r\n",
        b"-1\r\n",
        b"5\r\nabc\r\n0\r\n\r\n",
        b"1;" + b"e" * 500 + b"\r\na\r\n0\r\n\r\n",
        b"0\r\nx: y\r\n",
    ]
    head = b"POST /predict HTTP/1.1\r\nhost: a\r\n"
    choices = [
        head + b"content-length: " + chance.choice(lengths) + b"\r\n\r\n{}",
        head + b"transfer-encoding: chunked\r\n\r\n" + chance.choice(chunks),
        head
        + b"transfer-encoding: "
        + chance.choice([b"gzip", b"chunked, identity", b"\xff", b"chunked\r\ncontent-length: 3"])
        + b"\r\n\r\n0\r\n\r\n",
    ]
    return chance.choice(choices)


def _protocol(chance: random.Random) -> bytes:
    return chance.choice(OTHER_PROTOCOLS)


RAW: dict[str, Callable[[random.Random], bytes]] = {
    "noise": _noise,
    "broken head": _broken_head,
    "cut": _cut,
    "framing": _framing,
    "other protocols": _protocol,
}
