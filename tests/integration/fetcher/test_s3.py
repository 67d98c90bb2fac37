"""S3 and what speaks its protocol: who asks, what refusals become, where buckets are."""

from urllib.parse import parse_qs, urlsplit

import pytest

from model_artifact.delivery import AccessDenied, NotFound, Unreachable, Usage
from model_fetcher.errors import Misconfigured
from model_fetcher.sources.s3_endpoint import endpoint_of

from .answers import s3_error


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
def test_permanent_refusals_say_what_to_do_and_are_not_asked_again(s3_endpoint, fetch, code, status, kind, sentence):
    s3_endpoint.faults = [s3_error(code, status)] * 99
    with pytest.raises(kind, match=sentence) as caught:
        fetch("s3://models/m.onnx", auth="credentials")
    assert len([path for path, _ in s3_endpoint.requests if "list-type" not in path]) == 1
    assert "s3://models/m.onnx" in str(caught.value)
    assert caught.value.identity == "AWS access key AKIDEXAMPLE (env)"


@pytest.mark.parametrize(
    ("code", "status"), [("SlowDown", 503), ("InternalError", 500), ("RequestTimeout", 400), ("", 429)]
)
def test_storms_pass(s3_endpoint, fetch, patience, code, status):
    s3_endpoint.faults = [s3_error(code, status, Retry_After="2")] * 3
    assert fetch("s3://models/m.onnx").moved == 5
    assert patience.now >= 6 or status == 400


def test_error_without_an_explanation(s3_endpoint, fetch):
    def empty(handler, _):
        handler.send_response(404)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    s3_endpoint.faults = [empty] * 9
    with pytest.raises(NotFound, match=r"s3://models/m\.onnx does not exist"):
        fetch("s3://models/m.onnx")


def test_bucket_of_another_region_is_asked_there(s3_endpoint, fetch):
    s3_endpoint.faults = [s3_error("AuthorizationHeaderMalformed", 400, x_amz_bucket_region="eu-west-1")]
    fetch("s3://models/m.onnx")
    scopes = [headers["Authorization"].split("/")[2] for _, headers in s3_endpoint.requests]
    assert scopes == ["us-east-1", "eu-west-1"]


def test_region_that_does_not_help_either(s3_endpoint, fetch):
    s3_endpoint.faults = [
        s3_error("PermanentRedirect", 301, x_amz_bucket_region="eu-west-1"),
        s3_error("AccessDenied", 403),
        s3_error("AccessDenied", 403),
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


def test_wrong_bytes_are_noticed_where_the_store_tells_the_checksum(s3_endpoint, fetch):
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "5")
        handler.send_header("x-amz-checksum-sha256", "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=")
        handler.end_headers()
        handler.wfile.write(b"modeL")

    s3_endpoint.answer = answer
    with pytest.raises(Exception, match="its store says sha256 2cf24dba"):
        fetch("s3://models/m.onnx")


def test_listing_in_pages(s3_endpoint, pack, fetch):
    pack(version="9").into(s3_endpoint, "models/churn/9")
    folders = [f"churn/{number}/" for number in (8, 9, 10)]

    def answer(handler):
        query = parse_qs(urlsplit(handler.path).query)
        if "list-type" not in query:
            s3_endpoint.__class__.answer(s3_endpoint, handler)
            return
        page = int(query.get("continuation-token", ["0"])[0])
        following = f"<NextContinuationToken>{page + 1}</NextContinuationToken>" if page < 2 else ""
        body = f"<R><CommonPrefixes><Prefix>{folders[page]}</Prefix></CommonPrefixes>{following}</R>".encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    s3_endpoint.answer = answer
    assert fetch("s3://models/churn").version == "9"


def test_broken_listing(s3_endpoint, fetch):
    del s3_endpoint.objects["/models/m.onnx"]
    s3_endpoint.objects["/models"] = b"no markup"
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
