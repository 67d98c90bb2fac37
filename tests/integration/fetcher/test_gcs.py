"""Google Cloud Storage: what its errors become, who asks, what a missing library says."""

import sys

import pytest

from model_artifact.delivery import AccessDenied, ChecksumMismatch, NotFound, Unreachable, Usage
from model_fetcher import landing
from model_fetcher.errors import Misconfigured

from .answers import media, recording, status


def asked(gcs_endpoint):
    """Requests for the object; the client also looks at the bucket by itself, in the background."""
    return [path for path, _ in gcs_endpoint.requests if "/o/" in path]


@pytest.mark.parametrize(
    ("code", "kind"), [(401, AccessDenied), (403, AccessDenied), (400, Misconfigured), (412, Misconfigured)]
)
def test_permanent_answers(gcs_endpoint, fetch, code, kind):
    gcs_endpoint.faults = [status(code)] * 99
    with pytest.raises(kind, match=r"gs://models/m\.onnx") as caught:
        fetch("gs://models/m.onnx")
    assert len(asked(gcs_endpoint)) == 1
    assert caught.value.identity == "anonymous"


@pytest.mark.parametrize("code", [429, 500, 503])
def test_answers_that_may_change_are_asked_for_again(gcs_endpoint, fetch, patience, code):
    gcs_endpoint.faults = [status(code)] * 99
    with pytest.raises(Unreachable, match="gave up after"):
        fetch("gs://models/m.onnx")
    assert len(asked(gcs_endpoint)) == len(patience.notes) + 1 > 3


def test_nobody_answers(fetch, monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:1")
    with pytest.raises(Unreachable, match="no connection") as caught:
        fetch("gs://models/m.onnx")
    assert "gs://models/m.onnx" in str(caught.value)


def test_no_such_bucket(emulated, fetch):
    with pytest.raises(NotFound, match=r"gs://nobody/m\.onnx does not exist"):
        fetch(emulated.uri("m.onnx").replace("models", "nobody"))


def test_bucket_itself_may_hold_versions(emulated, pack, fetch):
    pack(version="1").into(emulated, "1")
    pack(version="2").into(emulated, "2")
    assert fetch("gs://models").version == "2"


def test_listing_that_is_forbidden_does_not_hide_what_is_missing(gcs_endpoint, fetch):
    def only_listing_is_forbidden(handler, data):
        status(403 if "/o?" in handler.path else 404)(handler, data)

    gcs_endpoint.faults = [only_listing_is_forbidden] * 9
    with pytest.raises(NotFound, match=r"gs://models/m\.onnx does not exist") as caught:
        fetch("gs://models/m.onnx")
    assert "there is" not in str(caught.value)


def test_key_markers_are_not_versions(emulated, pack, fetch):
    emulated.put("churn/", b"")
    pack(version="2").into(emulated, "churn/2")
    assert fetch("gs://models/churn/").version == "2"


def test_uri_without_a_bucket(fetch):
    with pytest.raises(Usage, match="expected gs://bucket/key"):
        fetch("gs:///m.onnx")


def test_generation_of_an_object(gcs_endpoint, fetch):
    recording(gcs_endpoint, media("7"))
    assert fetch("gs://models/m.onnx#7").name == "m"
    assert len(gcs_endpoint.requests) == 1
    assert "generation=7" in gcs_endpoint.requests[0][0]


@pytest.mark.parametrize("uri", ["gs://models/m.onnx#x", "gs://models/m.onnx#-1"])
def test_generation_that_is_no_number(fetch, uri):
    with pytest.raises(Usage, match="#generation"):
        fetch(uri)


@pytest.mark.parametrize("told", ["crc32c=x,md5=ICy5YqxZB1uWSwcVLSNLcA==", "md5=ICy5YqxZB1uWSwcVLSNLcA=="])
def test_wrong_bytes_are_noticed_where_the_service_tells_the_hash(gcs_endpoint, fetch, told):
    recording(gcs_endpoint, media(x_goog_hash=told))
    with pytest.raises(ChecksumMismatch, match="its store says md5 202cb962ac59075b964b07152d234b70"):
        fetch("gs://models/m.onnx")


@pytest.mark.parametrize("told", ["crc32c=AAAAAA==", "md5=nonsense", ""])
def test_hashes_that_say_nothing(gcs_endpoint, fetch, told):
    recording(gcs_endpoint, media(x_goog_hash=told))
    assert fetch("gs://models/m.onnx").moved == 5


def test_object_that_changes_while_it_is_read_is_read_anew(gcs_endpoint, fetch, patience, monkeypatch):
    """The service then no longer has the generation that was begun."""
    monkeypatch.setattr(landing, "PART", 3)

    def answer(handler):
        start = int(handler.headers["Range"].removeprefix("bytes=").split("-")[0])
        if not patience.notes and start == 0:
            part = {"Content-Range": "bytes 0-2/5", "x-goog-generation": "1", "Content-Length": "3"}
            handler.send_response(206)
            for name, value in part.items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(b"old")
        elif "generation=1" in handler.path:
            status(404)(handler, b"")
        else:
            media("2", b"new!")(handler)

    recording(gcs_endpoint, answer)
    assert (fetch("gs://models/m.onnx").path / "m.onnx").read_bytes() == b"new!"
    assert "changed while it was read" in patience.notes[0]


def test_emulator_without_a_scheme_in_its_address(web, fetch, monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"127.0.0.1:{web.port}")
    recording(web, media())
    assert fetch("gs://models/m.onnx").moved == 5


def test_missing_client_names_its_extra(fetch, monkeypatch):
    monkeypatch.delitem(sys.modules, "model_fetcher.sources.gcs_account", raising=False)
    monkeypatch.setitem(sys.modules, "google.auth", None)
    with pytest.raises(Usage, match=r"pip install 'modelport\[gcs\]'"):
        fetch("gs://models/m.onnx")


@pytest.mark.parametrize(("uri", "hint"), [("gcs://b/k", "gs://"), ("htps://h/k", "http"), ("zz://x", "or a path")])
def test_unknown_schemes_name_the_known(fetch, uri, hint):
    with pytest.raises(Usage, match=hint):
        fetch(uri)
