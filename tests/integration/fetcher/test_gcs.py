"""Google Cloud Storage through its own client: what its errors become, who asks, what a missing client says."""

import sys

import google.auth
import pytest
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import DefaultCredentialsError, TransportError
from google.cloud import storage

from model_fetcher.errors import AccessDenied, Misconfigured, NotFound, Unreachable, Usage


@pytest.fixture
def endpoint(web, monkeypatch):
    """A web server in the place of the service."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", web.uri("").rstrip("/"))
    return web


def asked(endpoint):
    """Requests for the object; the client also looks at the bucket by itself, in the background."""
    return [path for path, _ in endpoint.requests if "/o/" in path]


def failing(code):
    def fault(handler, _):
        handler.send_response(code)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return fault


@pytest.mark.parametrize(
    ("code", "kind"), [(401, AccessDenied), (403, AccessDenied), (400, Misconfigured), (412, Misconfigured)]
)
def test_permanent_answers(endpoint, fetch, code, kind):
    endpoint.faults = [failing(code)] * 99
    with pytest.raises(kind, match=r"gs://models/m\.onnx") as caught:
        fetch("gs://models/m.onnx")
    assert len(asked(endpoint)) == 1
    assert caught.value.identity == "anonymous"


@pytest.mark.parametrize("code", [429, 500, 503])
def test_answers_that_may_change_are_asked_for_again(endpoint, fetch, patience, code):
    endpoint.faults = [failing(code)] * 99
    with pytest.raises(Unreachable, match="gave up after"):
        fetch("gs://models/m.onnx")
    assert len(asked(endpoint)) == len(patience.notes) + 1 > 3


def test_nobody_answers(fetch, monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:1")
    with pytest.raises(Unreachable, match="no connection") as caught:
        fetch("gs://models/m.onnx")
    assert "gs://models/m.onnx" in str(caught.value)


def test_no_such_bucket(emulated, fetch):
    with pytest.raises(NotFound, match=r"gs://nobody/m\.onnx does not exist"):
        fetch(emulated.uri("m.onnx").replace("models", "nobody"))


def test_object_that_changes_while_it_is_read_is_read_anew(emulated, fetch, monkeypatch, patience):
    emulated.put("m.onnx", b"old")
    patience.on_sleep = lambda: emulated.put("m.onnx", b"new")
    read = storage.Blob.download_as_bytes

    def changed(blob, **options):
        if not patience.notes:
            emulated.client.bucket("models").blob("m.onnx").delete()
        return read(blob, **options)

    monkeypatch.setattr(storage.Blob, "download_as_bytes", changed)
    assert (fetch("gs://models/m.onnx").path / "m.onnx").read_bytes() == b"new"
    assert "changed while it was read" in patience.notes[0]


def test_bucket_itself_may_hold_versions(emulated, pack, fetch):
    pack(version="1").into(emulated, "1")
    pack(version="2").into(emulated, "2")
    assert fetch("gs://models").version == "2"


def test_listing_that_is_forbidden_does_not_hide_what_is_missing(endpoint, fetch):
    def only_listing_is_forbidden(handler, data):
        failing(403 if "/o?" in handler.path else 404)(handler, data)

    endpoint.faults = [only_listing_is_forbidden] * 9
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


class TestCredentials:
    """Who asks, where no emulator stands in; the requests themselves go nowhere."""

    @pytest.fixture(autouse=True)
    def _environment(self, monkeypatch):
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")

    def test_account_of_the_environment_is_named(self, fetch, monkeypatch):
        account = AnonymousCredentials()
        account.service_account_email = "svc@project"
        monkeypatch.setattr(google.auth, "default", lambda **_: (account, "project"))
        with pytest.raises(Unreachable) as caught:
            fetch("gs://models/m.onnx")
        assert caught.value.identity == "svc@project"

    def test_without_credentials_it_asks_anonymously(self, fetch, monkeypatch):
        def default(**_):
            raise DefaultCredentialsError("none")

        monkeypatch.setattr(google.auth, "default", default)
        with pytest.raises(Unreachable) as caught:
            fetch("gs://models/m.onnx")
        assert caught.value.identity == "anonymous"

    def test_named_credentials_that_cannot_be_used_are_not_passed_over(self, fetch, monkeypatch, tmp_path):
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
        with pytest.raises(AccessDenied, match=r"GOOGLE_APPLICATION_CREDENTIALS cannot be used.*none\.json"):
            fetch("gs://models/m.onnx")

    def test_identity_service_that_is_away(self, fetch, monkeypatch):
        def default(**_):
            raise TransportError("metadata server is away")

        monkeypatch.setattr(google.auth, "default", default)
        with pytest.raises(Unreachable, match=r"metadata server is away.*gave up after"):
            fetch("gs://models/m.onnx")


def test_missing_client_names_its_extra(fetch, monkeypatch):
    monkeypatch.delitem(sys.modules, "model_fetcher.sources.gcs", raising=False)
    monkeypatch.setitem(sys.modules, "google.cloud", None)
    with pytest.raises(Usage, match=r"pip install 'modelport\[gcs\]'"):
        fetch("gs://models/m.onnx")


@pytest.mark.parametrize(("uri", "hint"), [("gcs://b/k", "gs://"), ("htps://h/k", "http"), ("zz://x", "or a path")])
def test_unknown_schemes_name_the_known(fetch, uri, hint):
    with pytest.raises(Usage, match=hint):
        fetch(uri)
