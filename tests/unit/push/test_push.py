"""What is decided before anything leaves this machine."""

import sys

import pytest

from model_artifact.delivery import Usage
from modelport.pushing import push
from modelport.pushing.push import BUCKETS


@pytest.mark.parametrize("scheme", ["http", "HTTPS"])
def test_the_web_is_for_fetching(bundle, scheme):
    with pytest.raises(Usage, match="is for fetching: a web server has no common way to upload"):
        push(bundle.directory, f"{scheme}://host/models")


@pytest.mark.parametrize(("scheme", "hint"), [("gcs", "did you mean gs://"), ("azure", "push to gs://, s3://")])
def test_unknown_schemes_name_the_known(bundle, scheme, hint):
    with pytest.raises(Usage, match=hint):
        push(bundle.directory, f"{scheme}://models")


@pytest.mark.parametrize("scheme", BUCKETS)
def test_a_missing_client_names_its_extra(bundle, scheme, monkeypatch):
    module = BUCKETS[scheme]
    monkeypatch.delitem(sys.modules, f"modelport.pushing.{module}", raising=False)
    monkeypatch.setitem(sys.modules, {"gcs": "google.cloud", "s3": "boto3"}[module], None)
    with pytest.raises(Usage, match=rf"pip install 'modelport\[{module}\]'"):
        push(bundle.directory, f"{scheme}://models")


def test_a_file_where_a_folder_should_be(bundle, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Usage, match="cannot write"):
        push(bundle.directory, str(tmp_path / "file"))


def test_something_else_where_the_version_goes(bundle, tmp_path):
    place = tmp_path / "store" / "churn" / "3"
    place.mkdir(parents=True)
    (place / "notes.txt").write_text("mine")
    with pytest.raises(Exception, match="is no bundle") as caught:
        push(bundle.directory, str(tmp_path / "store"))
    assert caught.value.exit_code == 15
    assert (place / "notes.txt").read_text() == "mine"


def test_progress_is_told(bundle, tmp_path):
    told = []
    pushed = push(bundle.directory, str(tmp_path / "store"), tell=told.append)
    assert (told[-1].done, told[-1].total) == (pushed.size, pushed.size)
