"""What is told when the command cannot begin: identity, names, files that are no models."""

import google.auth
import pytest
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import DefaultCredentialsError


def test_without_google_credentials_it_says_how_to_get_some(make, run, monkeypatch):
    def default(**_):
        raise DefaultCredentialsError("none")

    monkeypatch.setattr(google.auth, "default", default)
    result = run("push", make().path, "gs://models")
    assert result.exit_code == 10
    assert "gcloud auth application-default login" in result.stderr


def test_credentials_of_the_environment_are_taken(make, run, monkeypatch):
    monkeypatch.setattr(google.auth, "default", lambda **_: (AnonymousCredentials(), "project"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setattr("modelport.pushing.gcs.RETRY", None)
    assert run("push", make().path, "gs://models").exit_code == 12


def test_without_aws_credentials_it_says_how_to_get_some(s3, make, run, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    result = run("push", make().path, s3.uri)
    assert result.exit_code == 10
    assert "set AWS_ACCESS_KEY_ID" in result.stderr


@pytest.mark.parametrize("option", ["--name", "--version"])
def test_a_bundle_has_its_own_name_and_version(make, run, option):
    result = run("push", make().path, "store", option, "2")
    assert result.exit_code == 2
    assert "are for bare model files" in result.stderr


def test_a_file_that_is_no_model(run, tmp_path):
    (tmp_path / "notes.txt").write_bytes(b"notes")
    result = run("push", tmp_path / "notes.txt", "store")
    assert result.exit_code == 11
    assert "notes.txt" in result.stderr
