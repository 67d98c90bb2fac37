"""The stand-in that `make bench-fetch` measures against: what it serves, that it holds its caps, what is judged."""

import hashlib
import socket
import time
from pathlib import Path

import pytest
from benchmarks.fetch.report import judge, rows
from benchmarks.fetch.run import Run, check
from benchmarks.fetch.server import blob as blobs
from benchmarks.fetch.server.answers import Request, Slice
from benchmarks.fetch.server.blob import MANY, ONE, Blob
from benchmarks.fetch.server.protocols import answer
from benchmarks.fetch.standin import serving
from benchmarks.serving.errors import WrongAnswer

MIB = 1 << 20


@pytest.fixture(scope="module")
def blob(tmp_path_factory: pytest.TempPathFactory) -> Blob:
    return blobs.make(tmp_path_factory.mktemp("blob"), 2, 3)


def get(path: str, query: dict[str, str] | None = None, **headers: str) -> Request:
    return Request("GET", path, query or {}, headers, "localhost")


@pytest.mark.parametrize(
    "path", [f"/web/{ONE}", f"/download/storage/v1/b/models/o/{ONE}", f"/models/{ONE}"], ids=["http", "gs", "s3"]
)
@pytest.mark.parametrize(
    ("wanted", "status", "start", "size"),
    [(None, 200, 0, 2 * MIB), ("bytes=5-9", 206, 5, 5), ("bytes=9-", 206, 9, 2 * MIB - 9), ("bytes=-3", 206, -3, 3)],
)
def test_every_protocol_gives_ranges(blob, path, wanted, status, start, size):
    found = answer(blob, get(path, **({"range": wanted} if wanted else {})))
    assert (found.status, found.body) == (status, Slice(start if start >= 0 else 2 * MIB + start, size))


def test_a_range_past_the_end(blob):
    assert answer(blob, get(f"/web/{ONE}", range=f"bytes={2 * MIB}-")).status == 416


@pytest.mark.parametrize("path", ["/web/no", "/storage/v1/b/models/o/no", "/storage/v1/b/other/o", "/models/no", "/x"])
def test_what_is_not_there(blob, path):
    assert answer(blob, get(path)).status == 404


def test_listings_come_in_pages(blob):
    names, token = [], ""
    while True:
        query = {"prefix": f"{MANY}/", "max-keys": "2"} | ({"continuation-token": token} if token else {})
        page = bytes(answer(blob, get("/models", query)).body).decode()
        names += [part.partition("</Key>")[0] for part in page.split("<Key>")[1:]]
        if "<IsTruncated>false" in page:
            break
        token = page.partition("<NextContinuationToken>")[2].partition("<")[0]
    assert names == sorted(key for key in blob.objects if key.startswith(MANY))


def test_it_sends_what_it_says_no_faster_than_the_cap(blob, tmp_path: Path):
    blobs.save(blob, tmp_path / "objects.json")
    with serving(tmp_path / "objects.json", rate=10e6, latency=0.05) as standin:
        standin.take_log()
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", standin.port)) as client, client.makefile("rb") as file:
            client.sendall(f"GET /web/{ONE} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            while file.readline() != b"\r\n":
                pass
            data = file.read(2 * MIB)
        seconds = time.monotonic() - began
        seen = standin.take_log()
    assert hashlib.sha256(data).hexdigest() == blob.objects[ONE].sha256
    assert seconds >= 0.05 + (2 * MIB - 2 * (256 << 10)) / 10e6
    assert (seen.requests, seen.connections) == (1, 1)
    assert seen.first_content - began >= 0.05


def test_a_wrong_byte_is_seen(blob, tmp_path: Path):
    for key in blob.below(MANY):
        (tmp_path / key).parent.mkdir(exist_ok=True)
        item = blob.objects[f"{MANY}/{key}"]
        (tmp_path / key).write_bytes(blob.path.read_bytes()[item.offset : item.offset + item.size])
    check(tmp_path, blob, MANY)
    (tmp_path / "model.onnx").write_bytes(b"other")
    with pytest.raises(WrongAnswer, match=r"model\.onnx has other bytes"):
        check(tmp_path, blob, MANY)
    (tmp_path / "model.onnx").unlink()
    with pytest.raises(WrongAnswer, match=r"model\.onnx is missing"):
        check(tmp_path, blob, MANY)


def test_ratios_are_of_medians_and_targets_are_judged():
    def runs(*seconds: float) -> list[Run]:
        return [Run(each, 0.5, 10.0, 1, 1) for each in seconds]

    found = rows(
        {("gs-one", "modelport"): runs(1, 2, 9), ("gs-one", "kserve"): runs(7, 6, 30)}, {"gs-one": 2_000_000_000}
    )
    assert [(row.seconds, row.ratio_kserve, row.mb_per_s, row.spread) for row in found] == [
        (2, 3.5, 1000.0, 9.0),
        (7, 1.0, 285.7, 5.0),
    ]
    assert [(figure.value, figure.holds) for figure in judge(found)] == [(3.5, False), (0.5, True)]
