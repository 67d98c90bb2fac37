"""TLS and proxies: whose certificates are trusted, and the ways through somebody else's network, for every scheme."""

import ssl
import subprocess

import pytest

from model_artifact.delivery import Unreachable, Usage
from model_fetcher.errors import Misconfigured

from .answers import MODEL, redirect


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


@pytest.mark.parametrize("scheme", ["gs", "s3"])
def test_authority_of_ones_own_and_proxies_hold_for_every_scheme(
    web, serve, authority, fetch, monkeypatch, tmp_path, scheme
):
    certificate, key = authority
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    web.wrap(context)
    variable = {"gs": "STORAGE_EMULATOR_HOST", "s3": "AWS_ENDPOINT_URL"}[scheme]
    monkeypatch.setenv(variable, f"https://127.0.0.1:{web.port}")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    def answer(handler):
        web.requests.append((handler.path, handler.headers))
        handler.send_response(200)
        for name, value in {"Content-Length": "5", "x-goog-generation": "1", "ETag": '"1"'}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(b"model")

    web.answer = answer
    with pytest.raises(Misconfigured, match="MODELPORT_FETCH_CA_BUNDLE"):
        fetch(f"{scheme}://models/m.onnx")
    assert fetch(f"{scheme}://models/m.onnx", ca_bundle=certificate).moved == 5
    plain = serve(type(web)())
    plain.answer = answer
    monkeypatch.setenv("HTTP_PROXY", plain.uri("").rstrip("/"))
    monkeypatch.setenv(variable, "http://storage.of.models")
    assert fetch(f"{scheme}://models/m.onnx", name="proxied").moved == 5
    assert web.requests[-1][0].startswith("http://storage.of.models/")


def test_unverified_s3_endpoint_when_asked_for(secure_uri, web, fetch, monkeypatch):
    web.put("models/m.onnx", MODEL)
    for name, value in {"AWS_ENDPOINT_URL": f"https://127.0.0.1:{web.port}", "S3_VERIFY_SSL": "0"}.items():
        monkeypatch.setenv(name, value)
    assert fetch("s3://models/m.onnx", auth="anonymous").moved == len(MODEL)


def test_authorities_that_are_none(fetch, tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate")
    for path in (tmp_path / "ca.pem", tmp_path / "missing.pem"):
        with pytest.raises(Usage, match="holds no certificates"):
            fetch("https://127.0.0.1:1/m.onnx", ca_bundle=path)


def test_folder_of_authorities(secure_uri, authority, fetch, tmp_path):
    folder = tmp_path / "authorities"
    folder.mkdir()
    name = subprocess.run(
        ["openssl", "x509", "-hash", "-noout", "-in", authority[0]], capture_output=True, text=True, check=True
    ).stdout.strip()
    (folder / f"{name}.0").write_bytes(authority[0].read_bytes())
    assert fetch(secure_uri, ca_bundle=folder).name == "m"
