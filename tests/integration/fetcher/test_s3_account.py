"""Who asks S3: keys, profiles that expire, roles, nobody."""

import re
import time

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from model_artifact.delivery import AccessDenied, Usage

from .answers import s3_error


def test_requests_are_signed_as_the_vendors_own_library_signs_them(s3_endpoint, fetch):
    done = fetch("s3://models/m.onnx", auth="credentials")
    _, headers = s3_endpoint.requests[0]
    signed = re.search(r"SignedHeaders=([^,]+)", headers["Authorization"])[1].split(";")
    request = AWSRequest("GET", s3_endpoint.uri("models/m.onnx"), headers={name: headers[name] for name in signed})
    request.context["timestamp"] = headers["X-Amz-Date"]
    auth = S3SigV4Auth(Credentials("AKIDEXAMPLE", "secret"), "s3", "us-east-1")
    assert headers["Authorization"].endswith(
        auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    )
    assert done.identity == "AWS access key AKIDEXAMPLE (env)"
    assert "secret" not in str(done)


@pytest.fixture
def profile(s3_endpoint, tmp_path, monkeypatch):
    """Credentials in a file, which may be renewed there."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    path = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))

    def write(key):
        path.write_text(f"[default]\naws_access_key_id={key}\naws_secret_access_key=secret\naws_session_token=t\n")

    write("OLD")
    return write


def test_expired_credentials_are_renewed_once(s3_endpoint, fetch, profile):
    def expire(handler, data):
        profile("NEW")
        s3_error("ExpiredToken", 400)(handler, data)

    s3_endpoint.faults = [expire]
    done = fetch("s3://models/m.onnx")
    assert done.identity == "AWS access key NEW (shared-credentials-file)"
    assert ["Credential=NEW" in headers["Authorization"] for _, headers in s3_endpoint.requests] == [False, True]


def test_credentials_that_stay_expired_end_in_one_clear_line(s3_endpoint, fetch, profile):
    s3_endpoint.faults = [s3_error("ExpiredToken", 400)] * 99
    with pytest.raises(AccessDenied, match="the credentials have expired; renew them"):
        fetch("s3://models/m.onnx", auth="credentials")
    assert len(s3_endpoint.requests) == 2


@pytest.mark.usefixtures("profile")
def test_credentials_that_went_away(s3_endpoint, fetch, tmp_path):
    def expire(handler, data):
        (tmp_path / "credentials").unlink()
        s3_error("ExpiredToken", 400)(handler, data)

    s3_endpoint.faults = [expire]
    with pytest.raises(AccessDenied, match="no AWS credentials any more"):
        fetch("s3://models/m.onnx", auth="credentials")


def test_public_object_is_read_by_nobody_where_somebody_is_refused(s3_endpoint, fetch, patience):
    def answer(handler):
        if handler.headers.get("Authorization"):
            s3_error("AccessDenied", 403)(handler, b"")
        else:
            s3_endpoint.give(handler, b"model")

    s3_endpoint.answer = answer
    assert fetch("s3://models/m.onnx").identity == "anonymous"
    assert patience.notes == [
        "AWS access key AKIDEXAMPLE (env) was refused and anybody may read: going on as anonymous"
    ]
    with pytest.raises(AccessDenied):
        fetch("s3://models/m.onnx", auth="credentials", name="other")


def test_who_was_refused_is_named_when_nobody_may_read_either(s3_endpoint, fetch):
    s3_endpoint.faults = [s3_error("AccessDenied", 403)] * 9
    with pytest.raises(AccessDenied) as caught:
        fetch("s3://models/m.onnx")
    assert caught.value.identity == "AWS access key AKIDEXAMPLE (env)"


@pytest.mark.parametrize("environ", [{}, {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}])
def test_nobody_asks_unsigned(s3_endpoint, fetch, monkeypatch, environ):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
        monkeypatch.setenv("awsAnonymousCredential", "True")
    assert fetch("s3://models/m.onnx").identity == "anonymous"
    assert "Authorization" not in s3_endpoint.requests[0][1]


def test_credentials_may_be_demanded(s3_endpoint, fetch, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(AccessDenied, match="names no AWS credentials"):
        fetch("s3://models/m.onnx", auth="credentials")


def test_profile_that_does_not_exist(s3_endpoint, fetch, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(Usage, match="nobody"):
        fetch("s3://models/m.onnx")


def test_role_of_a_service_account_is_taken_on(s3_endpoint, fetch, monkeypatch, tmp_path):
    """As on a cluster that gives pods web identities: a token is swapped for credentials."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    (tmp_path / "token").write_text("identity of the pod")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/models")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    swapped = (
        '<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
        "<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>s"
        f"</SecretAccessKey><SessionToken>t</SessionToken><Expiration>{later}</Expiration></Credentials>"
        "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
    ).encode()
    s3_endpoint.posted = swapped
    done = fetch("s3://models/m.onnx")
    assert done.identity == "AWS role arn:aws:iam::1:role/models"
    assert s3_endpoint.requests[-1][1]["X-Amz-Security-Token"] == "t"
