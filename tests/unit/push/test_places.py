import pytest

from model_artifact.delivery import Usage
from modelport.pushing.places import bucket_and_key, local_path, version_uri


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("gs://models", "gs://models/churn/3"),
        ("gs://models/", "gs://models/churn/3"),
        ("gs://models/team/eu", "gs://models/team/eu/churn/3"),
        ("gs://models/churn", "gs://models/churn/3"),
        ("gs://models/churn/3/", "gs://models/churn/3"),
        ("gs://churn", "gs://churn/churn/3"),
        ("gs://churn/3", "gs://churn/3/churn/3"),
        ("s3://models/churn/stable", "s3://models/churn/stable/churn/3"),
        ("/mnt/models", "/mnt/models/churn/3"),
        ("models", "models/churn/3"),
        ("churn", "churn/3"),
        ("file:///mnt/churn", "file:///mnt/churn/3"),
        (".", "./churn/3"),
    ],
)
def test_where_a_version_goes(uri, expected):
    assert version_uri(uri, "churn", "3") == expected


@pytest.mark.parametrize("uri", ["gs://models/churn/2", "/mnt/models/churn/2"])
def test_another_version_of_the_model_is_a_mistake(uri):
    with pytest.raises(Usage, match=r"names version 2 of 'churn', and the bundle is version 3: push to .*/churn$"):
        version_uri(uri, "churn", "3")


@pytest.mark.parametrize("uri", ["gs://", "gs:///key", "s3:///"])
def test_a_bucket_is_needed(uri):
    with pytest.raises(Usage, match=r"expected (gs|s3)://bucket"):
        bucket_and_key(uri)


def test_a_file_uri_of_another_host_shows_the_right_one():
    with pytest.raises(Usage, match="file:///mnt/models"):
        local_path("file://mnt/models")


def test_paths_in_uris_are_decoded():
    assert local_path("file:///a%20b") == "/a b"
