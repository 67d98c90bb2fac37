"""Malformed requests, drawn from a seed: bodies, headers, paths, and bytes that are not HTTP at all.

A framed attack is well-formed HTTP, however wrong its content, and is owed an answer on a connection that may live on.
A raw one may break the framing, so its connection is used once.
"""

import gzip
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from support.framing import RAW, request

PATHS = (
    "/predict", "/predict/batch", "/models/iris/predict", "/models/iris/versions/1/predict",
    "/models/iris/predict/batch",
)  # fmt: skip
NAMES = ("sepal_length", "sepal_width", "petal_length", "petal_width")
LARGEST_BODY = 200_000


@dataclass(frozen=True)
class Attack:
    """Bytes to send; `framed` where they are one whole HTTP request."""

    kind: str
    data: bytes
    framed: bool = True


def attacks(seed: int, count: int) -> Iterator[Attack]:
    """The same attacks for the same seed."""
    chance = random.Random(seed)
    kinds = {**BODIES, **REQUESTS, **RAW}
    weights = [WEIGHTS.get(kind, 4) for kind in kinds]
    for _ in range(count):
        (kind,) = chance.choices(list(kinds), weights)
        made = kinds[kind](chance)
        if kind in BODIES:
            made = request(body=made, path=chance.choice(PATHS))
        yield Attack(kind, made, framed=kind not in RAW)


def valid(chance: random.Random) -> Any:
    """A body that is as it should be."""
    row = {name: round(chance.uniform(0, 8), 2) for name in NAMES}
    one = chance.choice([row, {"features": row}, {"features": list(row.values())}])
    return {"requests": [one] * chance.randint(1, 5)} if chance.random() < 0.3 else one


def value(chance: random.Random, depth: int = 0) -> Any:
    """Any JSON value, the nasty ones among them."""
    plain: list[Callable[[], Any]] = [
        lambda: None,
        lambda: chance.random() < 0.5,
        lambda: chance.randint(-(2**70), 2**70),
        lambda: chance.choice([0, -0.0, 5e-324, 1.7976931348623157e308, -1e308, 2**53 + 1, 1e-400]),
        lambda: "".join(
            chance.choices(["a", "\x00", "\ud800", "\U0001f600", '"', "\\", "\ufdd0", "1"], k=chance.randint(0, 9))
        ),
        lambda: chance.choice([*NAMES, "features", "requests", "__proto__", "", "NaN", "1.5"]),
    ]
    nested: list[Callable[[], Any]] = [
        lambda: [value(chance, depth + 1) for _ in range(chance.randint(0, 5))],
        lambda: {str(value(chance, 9)): value(chance, depth + 1) for _ in range(chance.randint(0, 5))},
    ]
    return chance.choice(plain if depth > 3 else plain + nested)()


def _mutated(chance: random.Random) -> bytes:
    data = bytearray(json.dumps(valid(chance)).encode())
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(data) + 1)
        change = chance.randrange(4)
        if change == 0:
            data[at : at + 1] = bytes([chance.randrange(256)])
        elif change == 1:
            data[at:at] = chance.choice([b'"', b"{", b"]", b",", b"\\u", b"\x00", b"1e9999", b"-", b"null"])
        elif change == 2:
            del data[at : at + chance.randint(1, 20)]
        else:
            data[at:at] = data[at : at + chance.randint(1, 40)]
    return bytes(data)


def _mistyped(chance: random.Random) -> bytes:
    row: dict[str, Any] = dict.fromkeys(NAMES, 1.0)
    for name in chance.sample(NAMES, chance.randint(1, 4)):
        row[name] = value(chance)
    if chance.random() < 0.3:
        row[str(value(chance, 9))] = value(chance)
    body = chance.choice([row, {"features": row}, {"features": list(row.values())}, {"requests": [row, valid(chance)]}])
    return json.dumps(body).encode()


def _anything(chance: random.Random) -> bytes:
    return json.dumps(chance.choice([value(chance), {"features": value(chance)}, {"requests": value(chance)}])).encode()


def _deep(chance: random.Random) -> bytes:
    depth = chance.choice([10, 100, 1000, 10_000, 60_000])
    opened, closed = chance.choice([("[", "]"), ('{"a":', "}"), ('{"features":', "}"), ('{"requests":[', "]}")])
    ending = closed * depth if chance.random() < 0.5 else ""
    return ((opened * depth) + "1" + ending).encode()[: LARGEST_BODY - 1]


def _numbers(chance: random.Random) -> bytes:
    digits = "".join(chance.choices("0123456789", k=chance.choice([20, 400, 5000, 50_000])))
    number = chance.choice(
        [
            digits,
            f"-{digits}",
            f"0.{digits}",
            f"1e{digits[:9]}",
            f"-1e-{digits[:9]}",
            "NaN",
            "-Infinity",
            "0x10",
            "1_000",
            "01",
        ]
    )
    return f'{{"features": [{number}, 1, 1, 1]}}'.encode()


def _no_text(chance: random.Random) -> bytes:
    bad = chance.choice([b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\x80", b"\xef\xbb\xbf"])
    return chance.choice(
        [bad, b'{"' + bad + b'": 1}', bad + json.dumps(valid(chance)).encode(), bytes(chance.randbytes(50))]
    )


def _twice(chance: random.Random) -> bytes:
    name = chance.choice([*NAMES, "features"])
    return (
        f'{{"{name}": 1, "{name}": {json.dumps(value(chance))}, "features": [1,1,1,1], "features": [1,1,1]}}'.encode()
    )


def _many_rows(chance: random.Random) -> bytes:
    return json.dumps({"requests": [value(chance, 3)] * chance.choice([0, 99, 100, 101, 2000])}).encode()[
        : LARGEST_BODY - 1
    ]


BODIES: dict[str, Callable[[random.Random], bytes]] = {
    "mutated JSON": _mutated,
    "wrong types": _mistyped,
    "any JSON": _anything,
    "deep nesting": _deep,
    "numbers": _numbers,
    "invalid text": _no_text,
    "names twice": _twice,
    "many rows": _many_rows,
}


def _media(chance: random.Random) -> bytes:
    kinds = [
        "text/csv",
        "application/x-python-pickle",
        "",
        ";",
        "application/json; charset=utf-16",
        "a/b" * 99,
        "\xff/\xfe",
        "multipart/form-data",
    ]
    return request(body=json.dumps(valid(chance)).encode(), content_type=chance.choice(kinds))


def _encoding(chance: random.Random) -> bytes:
    body = json.dumps(valid(chance)).encode()
    packed = bytearray(gzip.compress(body))
    change = chance.randrange(4)
    if change == 0:
        packed[chance.randrange(len(packed))] ^= 1 << chance.randrange(8)
    elif change == 1:
        del packed[chance.randrange(len(packed)) :]
    elif change == 2:
        packed += chance.randbytes(20)
    else:
        packed = bytearray(gzip.compress(bytes(chance.choice([LARGEST_BODY + 1, 5_000_000]))))
    name = chance.choice(["gzip"] * 8 + ["br", "deflate", "gzip, gzip", "\xff", "zstd"])
    return request(body=bytes(packed), content_encoding=name)


def _path(chance: random.Random) -> bytes:
    parts = [
        "predict",
        "models",
        "iris",
        "..",
        "%2e%2e",
        "%00",
        "%ff",
        "versions",
        "1",
        "",
        "batch",
        "%F0%9F%98%80",
        "{name}",
        "x" * 3000,
        "health",
        "docs",
        "*",
    ]
    path = "/" + "/".join(chance.choices(parts, k=chance.randint(1, 6)))
    if chance.random() < 0.4:
        path += "?" + "&".join(
            chance.choices(["version=9", "version=", "version=%00", "version=..", "=", "version=1", "a" * 500], k=2)
        )
    method = chance.choice(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
    return request(method, path, json.dumps(valid(chance)).encode())


def _headers(chance: random.Random) -> bytes:
    name = chance.choice([
        "x_request_timeout_ms", "traceparent", "tracestate", "x_request_id", "accept_encoding", "origin", "baggage",
        "x_forwarded_for", "x_forwarded_proto", "range", "authorization", "cookie", "if_none_match", "accept",
    ])  # fmt: skip
    texts = [
        "-1",
        "1.5",
        "1e3",
        "x" * 5000,
        "00-0-0-0",
        "00-" + "0" * 32 + "-" + "0" * 16 + "-01",
        "\xff\xfe",
        ",;=",
        "gzip;q=x",
        '"',
        "%s%n",
        "a=b," * 200,
    ]
    return request(body=json.dumps(valid(chance)).encode(), **{name: chance.choice(texts)})


def _large(chance: random.Random) -> bytes:
    return request(body=b" " * (LARGEST_BODY + chance.choice([0, 1, 50_000])))


REQUESTS: dict[str, Callable[[random.Random], bytes]] = {
    "content type": _media,
    "content encoding": _encoding,
    "path and method": _path,
    "headers": _headers,
    "large body": _large,
}


WEIGHTS = {"mutated JSON": 20, "wrong types": 12, "any JSON": 8, "deep nesting": 2, "many rows": 2, "large body": 1}
