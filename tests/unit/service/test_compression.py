"""gzip in and out, and what is not gzip."""

import asyncio
import gzip
import json
import zlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from support.bundles import IRIS_NAMES

from model_service.api.compression import GzipRequests

NAMED = dict(zip(IRIS_NAMES, [5.1, 3.5, 1.4, 0.2], strict=True))
BODY = json.dumps({"requests": [NAMED] * 90}).encode()
GZIP = {"content-type": "application/json", "content-encoding": "gzip"}


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("size", [1, 100, 1 << 20])
@pytest.mark.parametrize("name", ["gzip", "GZIP", "x-gzip"])
def test_a_gzip_body_is_read_like_a_plain_one(client: TestClient, name: str, size: int) -> None:
    headers = GZIP | {"content-encoding": name}
    response = client.post("/predict/batch", content=pieces(gzip.compress(BODY), size), headers=headers)
    assert (response.status_code, response.json()["batch_size"]) == (200, 90)
    plain = client.post("/predict/batch", content=BODY, headers=GZIP | {"content-encoding": "identity"})
    assert plain.json()["batch_size"] == 90


def test_a_body_much_longer_than_a_piece_is_whole(client: TestClient) -> None:
    padded = BODY + b" " * 1_000_000 + b"x"
    response = client.post("/predict/batch", content=gzip.compress(padded), headers=GZIP)
    assert response.json()["error"] == "invalid_json"  # the last character was read
    assert client.post("/predict/batch", content=gzip.compress(padded[:-1]), headers=GZIP).status_code == 200


@pytest.mark.parametrize("size", [1000, 1 << 20])
def test_the_limit_counts_inflated_bytes(serve: Any, iris_bundle: Any, size: int) -> None:
    client = serve(iris_bundle, max_body_bytes=100_000)
    response = client.post("/predict", content=pieces(gzip.compress(b" " * 100_001), size), headers=GZIP)
    assert (response.status_code, response.json()["error"]) == (413, "payload_too_large")
    assert "when inflated" in response.json()["message"]
    exact = client.post("/predict", content=gzip.compress(json.dumps(NAMED).encode().ljust(100_000)), headers=GZIP)
    assert exact.status_code == 200


@pytest.mark.parametrize(
    "body",
    [b"{}", gzip.compress(BODY)[:-1], gzip.compress(BODY) + b"more", zlib.compress(BODY), gzip.compress(b"{}") * 2],
    ids=["plain", "cut", "longer", "zlib", "two members"],
)
def test_what_is_not_one_gzip_stream_is_refused(client: TestClient, body: bytes) -> None:
    response = client.post("/predict", content=body, headers=GZIP)
    assert (response.status_code, response.json()["error"]) == (422, "invalid_encoding")


def test_an_empty_body_is_no_json_however_it_is_encoded(client: TestClient) -> None:
    response = client.post("/predict", content=b"", headers=GZIP)
    assert (response.status_code, response.json()["error"]) == (422, "invalid_json")


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip", "gzip\x00"])
def test_other_encodings_are_refused_and_told_what_is_read(client: TestClient, encoding: str) -> None:
    response = client.post("/predict", content=BODY, headers=GZIP | {"content-encoding": encoding})
    assert (response.status_code, response.json()["error"]) == (415, "unsupported_media_type")
    assert response.headers["accept-encoding"] == "gzip"


def drive(app: Any, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a request whose body comes as these messages is sent."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(name.encode(), value.encode()) for name, value in GZIP.items()]
    scope = {"type": "http", "method": "POST", "path": "/predict", "raw_path": b"/predict", "query_string": b"",
             "headers": headers, "scheme": "http", "state": {}}  # fmt: skip
    asyncio.run(app(scope, receive, send))
    return sent


def test_a_client_that_leaves_within_its_body_gets_no_answer(client: TestClient) -> None:
    begun = {"type": "http.request", "body": gzip.compress(BODY)[:40], "more_body": True}
    assert drive(client.app, [begun, {"type": "http.disconnect"}]) == []


def test_after_the_body_the_client_is_still_heard() -> None:
    heard: list[str] = []

    async def listening(scope: Any, receive: Any, send: Any) -> None:
        while not heard or heard[-1] != "http.disconnect":
            heard.append((await receive())["type"])

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        scope["state"]["exchange"] = SimpleNamespace(headers=dict(scope["headers"]))
        await GzipRequests(listening, 1000)(scope, receive, send)

    whole = {"type": "http.request", "body": gzip.compress(b"{}"), "more_body": False}
    drive(outer, [whole, {"type": "http.disconnect"}])
    assert heard == ["http.request", "http.request", "http.disconnect"]


def test_answers_are_compressed_only_where_asked_for_by_settings_and_client(serve: Any, iris_bundle: Any) -> None:
    client = serve(iris_bundle, gzip_min_bytes=1000)
    headers = {"content-type": "application/json", "accept-encoding": "gzip"}
    long = client.post("/predict/batch", content=BODY, headers=headers)
    assert (long.headers["content-encoding"], long.headers["vary"]) == ("gzip", "Accept-Encoding")
    assert int(long.headers["content-length"]) < len(long.content) / 5
    assert long.json()["batch_size"] == 90
    short = client.post("/predict", json=NAMED, headers={"accept-encoding": "gzip"})
    refusing = client.post("/predict/batch", content=BODY, headers=headers | {"accept-encoding": "identity"})
    assert refusing.headers["vary"] == "Accept-Encoding"
    for plain in (short, refusing):
        assert plain.status_code == 200
        assert "content-encoding" not in plain.headers


def test_answers_are_not_compressed_by_default(client: TestClient) -> None:
    response = client.post("/predict/batch", content=BODY, headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in response.headers
