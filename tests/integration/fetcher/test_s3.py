"""S3 and what speaks its protocol: who asks, what refusals become, where buckets are."""

import re
import time
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from model_fetcher.errors import AccessDenied, Misconfigured, NotFound, Unreachable, Usage
from model_fetcher.sources.s3_endpoint import endpoint_of


def error(code, status, message="said the store", **headers):
    body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'.encode()

    def fault(handler, _):
        handler.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return fault


@pytest.fixture
def endpoint(web, monkeypatch):
    """A web server in the place of the store, and somebody who asks it."""
    for name, value in {
        "AWS_ENDPOINT_URL": web.uri("").rstrip("/"),
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    web.put("models/m.onnx", b"model")
    return web


def test_requests_are_signed_as_the_vendors_own_library_signs_them(endpoint, fetch):
    done = fetch("s3://models/m.onnx", auth="credentials")
    _, headers = endpoint.requests[0]
    signed = re.search(r"SignedHeaders=([^,]+)", headers["Authorization"])[1].split(";")
    request = AWSRequest("GET", endpoint.uri("models/m.onnx"), headers={name: headers[name] for name in signed})
    request.context["timestamp"] = headers["X-Amz-Date"]
    auth = S3SigV4Auth(Credentials("AKIDEXAMPLE", "secret"), "s3", "us-east-1")
    assert headers["Authorization"].endswith(
        auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    )
    assert done.identity == "AWS access key AKIDEXAMPLE (env)"
    assert "secret" not in str(done)


@pytest.mark.parametrize(
    ("code", "status", "kind", "sentence"),
    [
        ("AccessDenied", 403, AccessDenied, "AccessDenied: said the store"),
        ("InvalidAccessKeyId", 403, AccessDenied, "access key does not exist"),
        ("SignatureDoesNotMatch", 403, AccessDenied, "secret access key is not the one"),
        ("RequestTimeTooSkewed", 403, AccessDenied, "the clock of this machine is wrong"),
        ("NoSuchBucket", 404, NotFound, "nor does its bucket"),
        ("NoSuchVersion", 404, NotFound, "not exist in that version"),
        ("InvalidArgument", 400, Misconfigured, "HTTP 400"),
    ],
)
def test_permanent_refusals_say_what_to_do_and_are_not_asked_again(endpoint, fetch, code, status, kind, sentence):
    endpoint.faults = [error(code, status)] * 99
    with pytest.raises(kind, match=sentence) as caught:
        fetch("s3://models/m.onnx", auth="credentials")
    assert len([path for path, _ in endpoint.requests if "list-type" not in path]) == 1
    assert "s3://models/m.onnx" in str(caught.value)
    assert caught.value.identity == "AWS access key AKIDEXAMPLE (env)"


@pytest.mark.parametrize(
    ("code", "status"), [("SlowDown", 503), ("InternalError", 500), ("RequestTimeout", 400), ("", 429)]
)
def test_storms_pass(endpoint, fetch, patience, code, status):
    endpoint.faults = [error(code, status, Retry_After="2")] * 3
    assert fetch("s3://models/m.onnx").moved == 5
    assert patience.now >= 6 or status == 400


def test_error_without_an_explanation(endpoint, fetch):
    def empty(handler, _):
        handler.send_response(404)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    endpoint.faults = [empty] * 9
    with pytest.raises(NotFound, match=r"s3://models/m\.onnx does not exist"):
        fetch("s3://models/m.onnx")


@pytest.fixture
def profile(endpoint, tmp_path, monkeypatch):
    """Credentials in a file, which may be renewed there."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    path = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))

    def write(key):
        path.write_text(f"[default]\naws_access_key_id={key}\naws_secret_access_key=secret\naws_session_token=t\n")

    write("OLD")
    return write


def test_expired_credentials_are_renewed_once(endpoint, fetch, profile):
    def expire(handler, data):
        profile("NEW")
        error("ExpiredToken", 400)(handler, data)

    endpoint.faults = [expire]
    done = fetch("s3://models/m.onnx")
    assert done.identity == "AWS access key NEW (shared-credentials-file)"
    assert ["Credential=NEW" in headers["Authorization"] for _, headers in endpoint.requests] == [False, True]


def test_credentials_that_stay_expired_end_in_one_clear_line(endpoint, fetch, profile):
    endpoint.faults = [error("ExpiredToken", 400)] * 99
    with pytest.raises(AccessDenied, match="the credentials have expired; renew them"):
        fetch("s3://models/m.onnx", auth="credentials")
    assert len(endpoint.requests) == 2


@pytest.mark.usefixtures("profile")
def test_credentials_that_went_away(endpoint, fetch, tmp_path):
    def expire(handler, data):
        (tmp_path / "credentials").unlink()
        error("ExpiredToken", 400)(handler, data)

    endpoint.faults = [expire]
    with pytest.raises(AccessDenied, match="no AWS credentials any more"):
        fetch("s3://models/m.onnx", auth="credentials")


def test_public_object_is_read_by_nobody_where_somebody_is_refused(endpoint, fetch, patience):
    def answer(handler):
        if handler.headers.get("Authorization"):
            error("AccessDenied", 403)(handler, b"")
        else:
            endpoint.give(handler, b"model")

    endpoint.answer = answer
    assert fetch("s3://models/m.onnx").identity == "anonymous"
    assert patience.notes == [
        "AWS access key AKIDEXAMPLE (env) was refused and anybody may read: going on as anonymous"
    ]
    with pytest.raises(AccessDenied):
        fetch("s3://models/m.onnx", auth="credentials", name="other")


def test_who_was_refused_is_named_when_nobody_may_read_either(endpoint, fetch):
    endpoint.faults = [error("AccessDenied", 403)] * 9
    with pytest.raises(AccessDenied) as caught:
        fetch("s3://models/m.onnx")
    assert caught.value.identity == "AWS access key AKIDEXAMPLE (env)"


@pytest.mark.parametrize("environ", [{}, {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}])
def test_nobody_asks_unsigned(endpoint, fetch, monkeypatch, environ):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
        monkeypatch.setenv("awsAnonymousCredential", "True")
    assert fetch("s3://models/m.onnx").identity == "anonymous"
    assert "Authorization" not in endpoint.requests[0][1]


def test_credentials_may_be_demanded(endpoint, fetch, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(AccessDenied, match="names no AWS credentials"):
        fetch("s3://models/m.onnx", auth="credentials")


def test_profile_that_does_not_exist(endpoint, fetch, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(Usage, match="nobody"):
        fetch("s3://models/m.onnx")


def test_role_of_a_service_account_is_taken_on(endpoint, fetch, monkeypatch, tmp_path):
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
    endpoint.posted = swapped
    done = fetch("s3://models/m.onnx")
    assert done.identity == "AWS role arn:aws:iam::1:role/models"
    assert endpoint.requests[-1][1]["X-Amz-Security-Token"] == "t"


def test_bucket_of_another_region_is_asked_there(endpoint, fetch):
    endpoint.faults = [error("AuthorizationHeaderMalformed", 400, x_amz_bucket_region="eu-west-1")]
    fetch("s3://models/m.onnx")
    scopes = [headers["Authorization"].split("/")[2] for _, headers in endpoint.requests]
    assert scopes == ["us-east-1", "eu-west-1"]


def test_region_that_does_not_help_either(endpoint, fetch):
    endpoint.faults = [
        error("PermanentRedirect", 301, x_amz_bucket_region="eu-west-1"),
        error("AccessDenied", 403),
        error("AccessDenied", 403),
    ]
    with pytest.raises(AccessDenied):
        fetch("s3://models/m.onnx", auth="credentials")


def test_version_of_an_object(s3, s3_client, fetch):
    s3_client.put_bucket_versioning(Bucket="models", VersioningConfiguration={"Status": "Enabled"})
    old = s3_client.put_object(Bucket="models", Key="m.onnx", Body=b"old")["VersionId"]
    s3.put("m.onnx", b"new")
    done = fetch(f"s3://models/m.onnx?versionId={old}")
    assert (done.name, (done.path / "m.onnx").read_bytes()) == ("m", b"old")
    with pytest.raises(NotFound, match="in that version"):
        fetch("s3://models/m.onnx?versionId=00000000-0000-0000-0000-000000000000")


def test_wrong_bytes_are_noticed_where_the_store_tells_the_checksum(endpoint, fetch):
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "5")
        handler.send_header("x-amz-checksum-sha256", "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=")
        handler.end_headers()
        handler.wfile.write(b"modeL")

    endpoint.answer = answer
    with pytest.raises(Exception, match="its store says sha256 2cf24dba"):
        fetch("s3://models/m.onnx")


def test_listing_in_pages(endpoint, pack, fetch):
    pack(version="9").into(endpoint, "models/churn/9")
    folders = [f"churn/{number}/" for number in (8, 9, 10)]

    def answer(handler):
        query = parse_qs(urlsplit(handler.path).query)
        if "list-type" not in query:
            endpoint.__class__.answer(endpoint, handler)
            return
        page = int(query.get("continuation-token", ["0"])[0])
        following = f"<NextContinuationToken>{page + 1}</NextContinuationToken>" if page < 2 else ""
        body = f"<R><CommonPrefixes><Prefix>{folders[page]}</Prefix></CommonPrefixes>{following}</R>".encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    endpoint.answer = answer
    assert fetch("s3://models/churn").version == "9"


def test_broken_listing(endpoint, fetch):
    del endpoint.objects["/models/m.onnx"]
    endpoint.objects["/models"] = b"no markup"
    with pytest.raises(Unreachable, match="the answer is no XML"):
        fetch("s3://models/churn")


def test_uri_without_a_bucket(fetch):
    with pytest.raises(Usage, match="expected s3://bucket/key"):
        fetch("s3:///m.onnx")


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, "https://models.s3.us-east-1.amazonaws.com/a/m.onnx"),
        ({"AWS_REGION": "eu-west-1"}, "https://models.s3.eu-west-1.amazonaws.com/a/m.onnx"),
        ({"AWS_DEFAULT_REGION": "cn-north-1"}, "https://models.s3.cn-north-1.amazonaws.com.cn/a/m.onnx"),
        ({"AWS_ENDPOINT_URL": "http://minio:9000/"}, "http://minio:9000/models/a/m.onnx"),
        ({"AWS_ENDPOINT_URL_S3": "https://s3.here", "AWS_ENDPOINT_URL": "x"}, "https://s3.here/models/a/m.onnx"),
        ({"S3_ENDPOINT": "minio:9000"}, "https://minio:9000/models/a/m.onnx"),
        ({"S3_ENDPOINT": "minio:9000", "S3_USE_HTTPS": "0"}, "http://minio:9000/models/a/m.onnx"),
        ({"S3_ENDPOINT": "http://minio:9000"}, "http://minio:9000/models/a/m.onnx"),
        ({"S3_ENDPOINT": "minio", "S3_USER_VIRTUAL_BUCKET": "1"}, "https://models.minio/a/m.onnx"),
    ],
)
def test_where_buckets_are(monkeypatch, environ, url):
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert endpoint_of().url("models", "a/m.onnx") == url


def test_bucket_with_a_dot_is_part_of_the_path():
    assert endpoint_of().url("my.models", "m") == "https://s3.us-east-1.amazonaws.com/my.models/m"
    assert endpoint_of().moved("eu-west-1").url("models", "") == "https://models.s3.eu-west-1.amazonaws.com/"
