import shutil

import pytest

from modelport.cli.group import Failure
from modelport.cli.places import Place, fetched_place, find_place


def test_what_lies_in_a_root_is_served_in_place(bundle, make_bundle):
    root = bundle.directory.parent.parent
    make_bundle(root / "churn" / "10", version="10")
    assert find_place(root) == Place(root)
    assert find_place(root / "churn") == Place(root, "churn")
    assert find_place(root / "churn" / "3") == Place(root, "churn", "3")


def test_links_and_relative_paths_are_followed(bundle, monkeypatch):
    root = bundle.directory.parent.parent
    (root / "latest").symlink_to(bundle.directory)
    assert find_place(root / "latest") == Place(root, "churn", "3")
    monkeypatch.chdir(bundle.directory)
    assert find_place(root.__class__()) == Place(root, "churn", "3")


@pytest.mark.parametrize("elsewhere", ["download", "other/3", "churn/4"])
def test_a_bundle_that_lies_elsewhere_must_be_brought_in(bundle, tmp_path, elsewhere):
    target = tmp_path / "elsewhere" / elsewhere
    shutil.copytree(bundle.directory, target)
    assert find_place(target) is None


def test_versions_under_another_name_must_be_brought_in(bundle, tmp_path):
    shutil.copytree(bundle.directory.parent, tmp_path / "renamed")
    assert find_place(tmp_path / "renamed") is None


def test_a_bare_file_must_be_brought_in(tmp_path):
    (tmp_path / "model.onnx").touch()
    assert find_place(tmp_path / "model.onnx") is None


def test_nothing_to_serve(tmp_path):
    with pytest.raises(Failure, match="no such file or folder"):
        find_place(tmp_path / "nope")
    with pytest.raises(Failure, match=r"holds no model: expected manifest\.json, .* found nothing"):
        find_place(tmp_path)
    (tmp_path / "model.joblib").touch()
    with pytest.raises(Failure, match=r"found model\.joblib\. Make a bundle with .* or name a model file"):
        find_place(tmp_path)


def test_the_fetcher_says_where_it_published(tmp_path):
    output = b'{"name": "churn", "path": "/r/churn/3"}\n'
    assert fetched_place(output) == Place(tmp_path.__class__("/r"), "churn", "3")
