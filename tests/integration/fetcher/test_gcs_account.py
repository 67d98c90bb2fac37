"""Who asks Google Cloud Storage: accounts, tokens that expire, nobody."""

import json

import google.auth
import pytest
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import DefaultCredentialsError, RefreshError, TransportError
from google.oauth2 import credentials as oauth2_credentials

from model_artifact.delivery import AccessDenied, Unreachable
from model_fetcher.sources import gcs

from .answers import media, recording, status


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
def somebody(gcs_endpoint, monkeypatch):
    """The web server in the place of the service, asked as an account."""
    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    monkeypatch.setattr(gcs, "SERVICE", gcs_endpoint.uri("").rstrip("/"))
    account = Account()
    monkeypatch.setattr(google.auth, "default", lambda **_: (account, "project"))
    return account


def only_for(*tokens, refusal=401):
    def answer(handler):
        if handler.headers.get("Authorization") in tokens:
            media()(handler)
        else:
            status(refusal)(handler, b"")

    return answer


@pytest.mark.usefixtures("somebody")
def test_token_that_expires_midway_is_renewed_once(gcs_endpoint, fetch):
    recording(gcs_endpoint, only_for("Bearer 1"))
    assert fetch("gs://models/m.onnx").identity == "svc@project"
    assert len(gcs_endpoint.requests) == 2


@pytest.mark.usefixtures("somebody")
def test_account_that_stays_refused_is_named(gcs_endpoint, fetch):
    recording(gcs_endpoint, only_for("Bearer 9"))
    with pytest.raises(AccessDenied, match="HTTP 401") as caught:
        fetch("gs://models/m.onnx")
    assert caught.value.identity == "svc@project"


@pytest.mark.usefixtures("somebody")
def test_public_object_is_read_by_nobody_where_somebody_is_refused(gcs_endpoint, fetch, patience):
    recording(gcs_endpoint, only_for(None, refusal=403))
    assert fetch("gs://models/m.onnx").identity == "anonymous"
    assert patience.notes == ["svc@project was refused and anybody may read: going on as anonymous"]
    with pytest.raises(AccessDenied):
        fetch("gs://models/m.onnx", auth="credentials", name="other")
    assert fetch("gs://models/m.onnx", auth="anonymous", name="third").identity == "anonymous"


def test_token_that_cannot_be_renewed(gcs_endpoint, somebody, fetch, monkeypatch):
    def refuse(_):
        raise RefreshError("the token has been revoked")

    monkeypatch.setattr(somebody, "refresh", refuse)
    recording(gcs_endpoint, only_for("Bearer 1"))
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
