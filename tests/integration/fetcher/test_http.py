"""A web server that misbehaves: what is tried again, what is not, and what never leaves the fetcher."""

import base64
import socket
import ssl
import struct
import subprocess
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from model_artifact.bundle import verify
from model_fetcher.destinations import ModelRoot
from model_fetcher.errors import AccessDenied, ChecksumMismatch, Misconfigured, NotFound, Unreachable, Usage

MODEL = bytes(1 << 20) + b"model"


def status(code, body=b"", **headers):
    def fault(handler, _):
        handler.send_response(code)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return fault


def truncated(handler, data):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data[: len(data) // 2])
    handler.close_connection = True


def reset(handler, _):
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def redirect(target):
    return status(302, Location=target)


@pytest.fixture
def uri(web):
    web.put("m.onnx", MODEL)
    return web.uri("m.onnx")


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


def test_server_says_when_to_come_back_as_a_date(web, uri, fetch, patience):
    web.faults = [status(503, Retry_After=format_datetime(datetime.now(UTC) + timedelta(seconds=20)))]
    fetch(uri)
    assert 15 < patience.now <= 20


def test_nonsense_in_retry_after_is_ignored(web, uri, fetch, patience):
    web.faults = [status(503, Retry_After="soon")]
    fetch(uri)
    assert patience.now == 0.5


def test_nobody_listens(fetch, root):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(Unreachable, match=r"Connection refused.*gave up after"):
        fetch(f"http://127.0.0.1:{port}/m.onnx")
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
    with pytest.raises(ChecksumMismatch, match="more than the 5 bytes"):
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


def test_proxy_of_the_environment_is_used(web, uri, fetch, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", web.uri("").replace("://", "://me:pass@").rstrip("/"))
    fetch("http://model.store/m.onnx")
    path, headers = web.requests[0]
    assert path == "http://model.store/m.onnx"
    assert headers["Proxy-Authorization"].startswith("Basic ")


def test_proxy_is_passed_by_where_no_proxy_says_so(web, uri, fetch, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    fetch(uri)
    assert web.requests[0][0] == "/m.onnx"


def test_proxy_that_is_away(fetch, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with pytest.raises(Unreachable, match="proxy"):
        fetch("http://model.store/m.onnx")


@pytest.fixture
def authority(tmp_path):
    """A self-signed certificate for 127.0.0.1 with its key."""
    certificate, key = tmp_path / "ca.pem", tmp_path / "key.pem"
    subprocess.run(
        f"openssl req -x509 -newkey rsa:2048 -nodes -keyout {key} -out {certificate} -days 2 -subj /CN=test "
        "-addext subjectAltName=IP:127.0.0.1",
        shell=True, check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


@pytest.fixture
def secure_uri(uri, web, authority, serve):
    certificate, key = authority
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    web.wrap(context)
    return uri.replace("http://", "https://")


def test_unknown_authority_is_refused_at_once_and_says_what_to_do(secure_uri, fetch, patience):
    with pytest.raises(Misconfigured, match="SSL_CERT_FILE"):
        fetch(secure_uri)
    assert patience.notes == []


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_authority_of_the_environment_is_trusted(secure_uri, fetch, monkeypatch, authority, variable):
    monkeypatch.setenv(variable, str(authority[0]))
    assert fetch(secure_uri).name == "m"


@pytest.fixture
def _trusted(authority, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority[0]))


@pytest.mark.usefixtures("_trusted")
def test_switch_to_https_is_followed_and_never_back(web, serve, secure_uri, fetch):
    plain = serve(type(web)())
    plain.faults = [redirect(secure_uri)]
    assert fetch(plain.uri("m.onnx")).name == "m"
    web.faults = [redirect(plain.uri("m.onnx"))]
    with pytest.raises(Misconfigured, match="only https"):
        fetch(secure_uri)
