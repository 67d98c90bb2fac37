"""Google Cloud Storage: what its errors become, who asks, what a missing library says."""

import json
import sys

import google.auth
import pytest
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import DefaultCredentialsError, RefreshError, TransportError
from google.oauth2 import credentials as oauth2_credentials

from model_fetcher import landing
from model_fetcher.errors import AccessDenied, ChecksumMismatch, Misconfigured, NotFound, Unreachable, Usage
from model_fetcher.sources import gcs


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


def media(generation="1", data=b"model", **more):
    """Answers as the service does, which tells the generation with the bytes."""

    def answer(handler):
        handler.send_response(200)
        headers = {"Content-Length": str(len(data)), "x-goog-generation": generation} | more
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def recording(endpoint, answer):
    def record(handler):
        endpoint.requests.append((handler.path, handler.headers))
        answer(handler)

    endpoint.answer = record


def test_generation_of_an_object(endpoint, fetch):
    recording(endpoint, media("7"))
    assert fetch("gs://models/m.onnx#7").name == "m"
    assert len(endpoint.requests) == 1
    assert "generation=7" in endpoint.requests[0][0]


@pytest.mark.parametrize("uri", ["gs://models/m.onnx#x", "gs://models/m.onnx#-1"])
def test_generation_that_is_no_number(fetch, uri):
    with pytest.raises(Usage, match="#generation"):
        fetch(uri)


@pytest.mark.parametrize("told", ["crc32c=x,md5=ICy5YqxZB1uWSwcVLSNLcA==", "md5=ICy5YqxZB1uWSwcVLSNLcA=="])
def test_wrong_bytes_are_noticed_where_the_service_tells_the_hash(endpoint, fetch, told):
    recording(endpoint, media(x_goog_hash=told))
    with pytest.raises(ChecksumMismatch, match="its store says md5 202cb962ac59075b964b07152d234b70"):
        fetch("gs://models/m.onnx")


@pytest.mark.parametrize("told", ["crc32c=AAAAAA==", "md5=nonsense", ""])
def test_hashes_that_say_nothing(endpoint, fetch, told):
    recording(endpoint, media(x_goog_hash=told))
    assert fetch("gs://models/m.onnx").moved == 5


def test_object_that_changes_while_it_is_read_is_read_anew(endpoint, fetch, patience, monkeypatch):
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
            failing(404)(handler, b"")
        else:
            media("2", b"new!")(handler)

    recording(endpoint, answer)
    assert (fetch("gs://models/m.onnx").path / "m.onnx").read_bytes() == b"new!"
    assert "changed while it was read" in patience.notes[0]


class Account(AnonymousCredentials):
    """Somebody whose token is as good as its number of renewals."""

    service_account_email = "svc@project"

    def __init__(self):
        super().__init__()
        self.renewals = 0

    def before_request(self, request, method, url, headers):
        headers["Authorization"] = f"Bearer {self.renewals}"

    def refresh(self, request):
        self.renewals += 1


@pytest.fixture
def somebody(endpoint, monkeypatch):
    """The web server in the place of the service, asked as an account."""
    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    monkeypatch.setattr(gcs, "SERVICE", endpoint.uri("").rstrip("/"))
    account = Account()
    monkeypatch.setattr(google.auth, "default", lambda **_: (account, "project"))
    return account


def only_for(*tokens, status=401):
    def answer(handler):
        if handler.headers.get("Authorization") in tokens:
            media()(handler)
        else:
            failing(status)(handler, b"")

    return answer


@pytest.mark.usefixtures("somebody")
def test_token_that_expires_midway_is_renewed_once(endpoint, fetch):
    recording(endpoint, only_for("Bearer 1"))
    assert fetch("gs://models/m.onnx").identity == "svc@project"
    assert len(endpoint.requests) == 2


@pytest.mark.usefixtures("somebody")
def test_account_that_stays_refused_is_named(endpoint, fetch):
    recording(endpoint, only_for("Bearer 9"))
    with pytest.raises(AccessDenied, match="HTTP 401") as caught:
        fetch("gs://models/m.onnx")
    assert caught.value.identity == "svc@project"


@pytest.mark.usefixtures("somebody")
def test_public_object_is_read_by_nobody_where_somebody_is_refused(endpoint, fetch, patience):
    recording(endpoint, only_for(None, status=403))
    assert fetch("gs://models/m.onnx").identity == "anonymous"
    assert patience.notes == ["svc@project was refused and anybody may read: going on as anonymous"]
    with pytest.raises(AccessDenied):
        fetch("gs://models/m.onnx", auth="credentials", name="other")
    assert fetch("gs://models/m.onnx", auth="anonymous", name="third").identity == "anonymous"


def test_token_that_cannot_be_renewed(endpoint, somebody, fetch, monkeypatch):
    def refuse(_):
        raise RefreshError("the token has been revoked")

    monkeypatch.setattr(somebody, "refresh", refuse)
    recording(endpoint, only_for("Bearer 1"))
    with pytest.raises(AccessDenied, match="cannot be renewed"):
        fetch("gs://models/m.onnx", auth="credentials")


def test_tokens_come_through_the_same_connections(web, fetch, monkeypatch, tmp_path):
    """A key file of the kind that swaps a secret for tokens, as the library itself reads it."""
    key = {"type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r"}
    (tmp_path / "key.json").write_text(json.dumps(key))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    monkeypatch.setattr(gcs, "SERVICE", web.uri("").rstrip("/"))
    monkeypatch.setattr(oauth2_credentials, "_GOOGLE_OAUTH2_TOKEN_ENDPOINT", web.uri("token"))
    web.posted = json.dumps({"access_token": "swapped", "expires_in": 3600}).encode()
    recording(web, only_for("Bearer swapped"))
    assert fetch("gs://models/m.onnx", auth="credentials").moved == 5
    monkeypatch.setattr(oauth2_credentials, "_GOOGLE_OAUTH2_TOKEN_ENDPOINT", "http://127.0.0.1:1/token")
    with pytest.raises(Unreachable, match="no credentials yet"):
        fetch("gs://models/m.onnx", name="away")


def test_emulator_without_a_scheme_in_its_address(web, fetch, monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"127.0.0.1:{web.port}")
    recording(web, media())
    assert fetch("gs://models/m.onnx").moved == 5


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

    def test_credentials_may_be_demanded(self, fetch, monkeypatch):
        def default(**_):
            raise DefaultCredentialsError("none")

        monkeypatch.setattr(google.auth, "default", default)
        with pytest.raises(AccessDenied, match="names no Google credentials"):
            fetch("gs://models/m.onnx", auth="credentials")

    def test_identity_service_that_is_away(self, fetch, monkeypatch):
        def default(**_):
            raise TransportError("metadata server is away")

        monkeypatch.setattr(google.auth, "default", default)
        with pytest.raises(Unreachable, match=r"metadata server is away.*gave up after"):
            fetch("gs://models/m.onnx")


def test_missing_client_names_its_extra(fetch, monkeypatch):
    monkeypatch.delitem(sys.modules, "model_fetcher.sources.gcs_account", raising=False)
    monkeypatch.setitem(sys.modules, "google.auth", None)
    with pytest.raises(Usage, match=r"pip install 'modelport\[gcs\]'"):
        fetch("gs://models/m.onnx")


@pytest.mark.parametrize(("uri", "hint"), [("gcs://b/k", "gs://"), ("htps://h/k", "http"), ("zz://x", "or a path")])
def test_unknown_schemes_name_the_known(fetch, uri, hint):
    with pytest.raises(Usage, match=hint):
        fetch(uri)
