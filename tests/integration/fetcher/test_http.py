"""A web server that misbehaves: what is tried again, what is not, and what never leaves the fetcher."""

import base64
import socket
import threading
from contextlib import suppress
from email.utils import formatdate
from functools import partial

import pytest

from model_artifact.bundle import verify
from model_artifact.delivery import AccessDenied, ChecksumMismatch, NotFound, Unreachable, Usage
from model_fetcher import landing
from model_fetcher.destinations import ModelRoot
from model_fetcher.errors import Misconfigured
from model_fetcher.sources import web as client

from .answers import MODEL, redirect, reset, status, truncated


@pytest.mark.parametrize(
    "faults",
    [[truncated], [reset], [status(503)], [status(429), status(500), status(408)], [truncated, status(502), truncated]],
)
def test_passing_faults_end_in_the_whole_model_with_a_line_for_each(web, uri, fetch, patience, faults):
    web.faults = list(faults)
    assert verify(fetch(uri).path).path("m.onnx").read_bytes() == MODEL
    assert len(patience.notes) == len(faults)
    assert all("trying again in" in note for note in patience.notes)


def test_server_says_when_to_come_back(web, uri, fetch, patience):
    web.faults = [status(503, Retry_After="7")]
    fetch(uri)
    assert patience.now == 7


def test_server_says_when_to_come_back_as_a_date(web, uri, fetch, patience, monkeypatch):
    now = 1_800_000_000
    monkeypatch.setattr("time.time", lambda: now)
    web.faults = [status(503, Retry_After=formatdate(now + 20, usegmt=True))]
    fetch(uri)
    assert patience.now == 20


def test_nonsense_in_retry_after_is_ignored(web, uri, fetch, patience):
    web.faults = [status(503, Retry_After="soon")]
    fetch(uri)
    assert patience.now == 0.5


def test_nobody_listens(fetch, root):
    with pytest.raises(Unreachable, match=r"Connection refused.*gave up after"):
        fetch("http://127.0.0.1:1/m.onnx")
    assert list(root.iterdir()) == []


def test_host_that_does_not_exist(fetch):
    with pytest.raises(Unreachable, match="host name cannot be resolved"):
        fetch("http://no-such-host.invalid/m.onnx")


def test_silent_server(fetch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(Unreachable, match="stopped sending"):
            fetch(f"http://127.0.0.1:{port}/m.onnx", read_timeout=0.05)


@pytest.mark.parametrize(
    ("code", "kind"), [(401, AccessDenied), (403, AccessDenied), (404, NotFound), (410, NotFound), (418, Misconfigured)]
)
def test_permanent_answers_are_not_asked_for_twice(web, uri, fetch, code, kind):
    web.faults = [status(code)]
    with pytest.raises(kind, match=f"HTTP {code}"):
        fetch(uri)
    assert len(web.requests) == 1


def test_server_without_a_length(web, fetch, root):
    def unsized(handler, _):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(MODEL)

    web.faults = [unsized]
    fetch(web.uri("m.onnx"))
    assert verify(root / "m" / "1").path("m.onnx").read_bytes() == MODEL


def test_endless_answer_is_cut_off_at_the_listed_size(web, pack, fetch):
    def endless(handler, _):
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(bytes(1 << 16))
        except OSError:
            handler.close_connection = True

    uri = pack().into(web, "churn")
    web.faults = [status(200, web.objects["/churn/manifest.json"]), endless]
    with pytest.raises(ChecksumMismatch, match=r"more than the \d+ bytes"):
        fetch(uri)


def test_time_of_change_becomes_the_time_of_creation(web, uri, fetch, root):
    stamp = "Thu, 01 Jan 2026 12:00:00 GMT"
    web.faults = [status(200, b"x", Last_Modified=stamp)]
    fetch(uri)
    assert verify(root / "m" / "1").manifest.created == "2026-01-01T12:00:00+00:00"


def test_same_file_gets_the_same_manifest_on_every_pod(uri, fetch, root, tmp_path):
    assert fetch(uri).digest == fetch(uri, ModelRoot(tmp_path / "another")).digest


def test_query_goes_along_and_is_never_written_down(web, pack, fetch, root):
    uri = pack().into(web, "churn")
    done = fetch(f"{uri}?sig=secret")
    assert all(path.endswith("?sig=secret") for path, _ in web.requests)
    with pytest.raises(NotFound) as caught:
        fetch(f"{web.uri('nothing')}?sig=secret")
    assert "secret" not in f"{caught.value} {caught.value.uri} {done}"


def test_query_of_a_bare_file_is_not_in_its_manifest(uri, fetch):
    done = fetch(f"{uri}?sig=secret")
    assert done.name == "m"
    assert b"secret" not in (done.path / "manifest.json").read_bytes()


def test_names_are_escaped(web, pack, fetch, tree):
    bundle = pack(**{"a%20b/?#;.txt": b"odd"})
    assert tree(fetch(bundle.into(web, "churn")).path) == bundle.files


def test_user_and_password_are_sent_and_named(web, uri, fetch):
    done = fetch(uri.replace("://", "://me:p%40ss@"))
    expected = base64.b64encode(b"me:p@ss").decode()
    assert web.requests[0][1]["Authorization"] == f"Basic {expected}"
    assert done.identity == "user me"
    assert b"p%40ss" not in (done.path / "manifest.json").read_bytes()


def test_redirects_are_followed_and_take_no_password_along(web, serve, uri, fetch):
    other = serve(type(web)())
    other.put("real.onnx", MODEL)
    web.faults = [redirect("/moved"), redirect(other.uri("real.onnx"))]
    fetch(uri.replace("://", "://me:pass@"))
    assert [("Authorization" in headers) for _, headers in web.requests] == [True, True]
    assert "Authorization" not in other.requests[0][1]


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://host/x", "gs://bucket/x"])
def test_redirects_to_other_schemes_are_refused(web, uri, fetch, target):
    web.faults = [redirect(target)]
    with pytest.raises(Misconfigured, match="only https may be switched to"):
        fetch(uri)


def test_redirects_end(web, uri, fetch):
    web.faults = [redirect("/m.onnx")] * 9
    with pytest.raises(Misconfigured, match="more than 5 redirects"):
        fetch(uri)


@pytest.mark.parametrize("uri", ["http://[half/m.onnx", "https://[::1/x", "file://[half/m.onnx"])
def test_address_that_cannot_be_read(fetch, uri):
    with pytest.raises(Usage, match="not a usable URI"):
        fetch(uri)


def test_redirect_that_cannot_be_read(web, uri, fetch):
    web.faults = [redirect("http://[half/x")]
    with pytest.raises(Misconfigured, match="no address"):
        fetch(uri)


def test_address_that_is_none(fetch):
    with pytest.raises(Misconfigured, match="not a usable address"):
        fetch("http:///m.onnx")


def test_headers_go_to_the_host_that_they_are_for(web, serve, uri, fetch):
    other = serve(type(web)())
    other.put("real.onnx", MODEL)
    web.faults = [redirect(other.uri("real.onnx"))]
    done = fetch(uri, headers={"Authorization": "Bearer secret", "X-Team": "churn"})
    assert (web.requests[0][1]["Authorization"], web.requests[0][1]["X-Team"]) == ("Bearer secret", "churn")
    assert all("Authorization" not in headers and "X-Team" not in headers for _, headers in other.requests)
    assert done.identity == "the given headers"
    assert "secret" not in str(done)


def test_slow_sender_is_given_up(web, uri, fetch, patience, monkeypatch):
    """It sends a byte now and then, so that no read ever times out: one in ten seconds of a clock that it moves."""
    gone, sent = threading.Event(), []
    monkeypatch.setattr(client, "Pace", partial(client.Pace, clock=lambda: 10.0 * len(sent)))

    def dripping(handler, data):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        with suppress(OSError):
            while not gone.wait(0.02) and len(sent) < 1000:
                handler.wfile.write(b".")
                handler.wfile.flush()
                sent.append(b".")
        handler.close_connection = True

    web.faults = [dripping]
    fetch(uri)
    gone.set()
    assert "all but stopped sending" in patience.notes[0]


def test_server_that_compresses_all_the_same(web, uri, fetch):
    web.faults = [status(200, b"x", Content_Encoding="gzip")]
    with pytest.raises(Misconfigured, match="Content-Encoding"):
        fetch(uri)


def test_server_that_does_not_know_the_size_of_the_whole(web, uri, fetch, monkeypatch):
    monkeypatch.setattr(landing, "PART", 1000)
    web.faults = [status(206, MODEL[:1000], Content_Range="bytes 0-999/*", ETag='"1"')]
    assert verify(fetch(uri).path).path("m.onnx").read_bytes() == MODEL
    assert "Range" not in web.requests[-1][1]


@pytest.mark.parametrize("extent", ["bytes 5-9/10", "bytes */10", "nonsense", ""])
def test_another_part_than_was_asked_for(web, uri, fetch, extent):
    web.faults = [status(206, b"wrong", Content_Range=extent)]
    assert fetch(uri).moved >= len(MODEL)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Repr_Digest": "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:"}, True),
        ({"Repr_Digest": "sha-512=:AAAA:"}, False),
        ({"x_amz_checksum_sha256": "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=-3"}, False),
    ],
)
def test_digest_that_the_server_tells_counts(web, uri, fetch, headers, expected):
    web.faults = [status(200, b"modeL", **headers)]
    if expected:
        with pytest.raises(ChecksumMismatch, match="its store says sha256"):
            fetch(uri)
    else:
        assert fetch(uri).moved == 5


def test_time_of_change_tells_versions_apart_where_it_is_old_enough(web, uri, fetch, monkeypatch):
    """RFC 9110: a time of change that lies in the same second as the answer may belong to two versions."""
    monkeypatch.setattr(landing, "PART", 1 << 19)
    answered = "Thu, 01 Jan 2026 12:00:01 GMT"
    for stamp, parts in (("Thu, 01 Jan 2026 12:00:00 GMT", True), (answered, False)):
        web.requests.clear()

        def answer(handler, stamp=stamp):
            web.requests.append((handler.path, handler.headers))
            whole = handler.headers.get("Range") is None
            start = 0 if whole else int(handler.headers["Range"].removeprefix("bytes=").split("-")[0])
            data = MODEL if whole else MODEL[start : start + (1 << 19)]
            handler.send_response_only(200 if whole else 206)
            for name, value in {
                "Date": answered,
                "Content-Length": str(len(data)),
                "Last-Modified": stamp,
                "Content-Range": f"bytes {start}-{start + len(data) - 1}/{len(MODEL)}",
            }.items():
                handler.send_header(name, value)
            handler.end_headers()
            with suppress(OSError):
                handler.wfile.write(data)

        web.answer = answer
        done = fetch(uri, name="old" if parts else "new")
        assert (done.path / "m.onnx").read_bytes() == MODEL
        assert all(headers.get("Range") for _, headers in web.requests) == parts
