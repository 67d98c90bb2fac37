"""Folders without a manifest: what is taken for a model, and what patterns leave of it, for every scheme."""

import pytest

from model_artifact.bundle import verify
from model_artifact.delivery import NotFound, RefusedByPolicy, Usage
from model_fetcher import contents
from model_fetcher.contents import Patterns

from .stores import LISTING


def test_folder_with_a_model_file_is_taken_whole(store, fetch, root, tree):
    files = {"model.joblib": b"model", "labels.txt": b"a", "deep/er/model.joblib": b"another", "empty": b""}
    for path, data in files.items():
        store.put(f"models/churn/{path}", data)
    store.put("models/churn-old/model.joblib", b"a sibling")
    store.put("models/churn.txt", b"another")
    if not store.lists:
        with pytest.raises(NotFound):
            fetch(store.uri("models/churn"))
        return
    done = fetch(store.uri("models/churn/"))
    assert (done.name, done.version, done.moved) == ("churn", "1", sum(map(len, files.values())))
    bundle = verify(root / "churn" / "1")
    assert {path: data for path, data in tree(done.path).items() if path != "manifest.json"} == files
    assert [(each.kind, each.path) for each in bundle.manifest.formats] == [("joblib", "model.joblib")]
    assert bundle.manifest.origin == "fetched"
    assert fetch(store.uri("models/churn")).already_there


@pytest.mark.parametrize("store", ["gs", "s3"], indirect=True)
def test_name_that_is_an_object_and_a_folder_at_once(store, pack, fetch):
    """With a slash at its end it is the folder."""
    store.put("churn.onnx", b"onnx")
    pack("churn", "4").into(store, "churn.onnx")
    assert fetch(store.uri("churn.onnx")).version == "1"
    assert fetch(store.uri("churn.onnx/")).version == "4"


@pytest.mark.parametrize("markers", [["churn/"], ["churn/", "churn/deep/"]])
def test_markers_of_folders_are_no_files(store, fetch, tree, markers):
    if not store.lists or store.uri("").startswith("file"):
        return
    for marker in markers:
        store.put(marker, b"")
    store.put("churn/model.onnx", b"x")
    assert sorted(tree(fetch(store.uri("churn")).path)) == ["manifest.json", "model.onnx"]


def folder(store, *paths):
    for path in paths:
        store.put(f"churn/{path}", path.encode())
    return store.uri("churn")


@pytest.mark.parametrize("store", LISTING, indirect=True)
@pytest.mark.parametrize(
    ("allow", "ignore", "left"),
    [
        (["*.onnx"], [], ["a.onnx", "old/b.onnx"]),
        ([], ["old/*", "*.md"], ["a.onnx", "c.joblib", "labels.txt"]),
        (["*.onnx", "labels.*"], ["old/*"], ["a.onnx", "labels.txt"]),
    ],
)
def test_patterns_choose_among_files(store, fetch, tree, allow, ignore, left):
    uri = folder(store, "a.onnx", "c.joblib", "labels.txt", "readme.md", "old/b.onnx")
    done = fetch(uri, patterns=Patterns(tuple(allow), tuple(ignore)))
    assert sorted(tree(done.path)) == sorted([*left, "manifest.json"])


@pytest.mark.parametrize("store", LISTING, indirect=True)
def test_patterns_that_leave_nothing_name_what_there_was(store, fetch):
    with pytest.raises(NotFound, match=r"the patterns leave none of its 2 files \(a\.onnx, b\.txt\)"):
        fetch(folder(store, "a.onnx", "b.txt"), patterns=Patterns(("*.joblib",)))


@pytest.mark.parametrize("store", LISTING, indirect=True)
def test_folder_with_two_models_of_a_kind_names_both(store, fetch, root):
    uri = folder(store, "a.onnx", "b.onnx")
    with pytest.raises(RefusedByPolicy, match=r"several models \(a\.onnx, b\.onnx\).*--ignore-patterns"):
        fetch(uri)
    assert not root.exists()
    assert fetch(uri, patterns=Patterns(ignore=("b.*",))).name == "churn"


@pytest.mark.parametrize("store", LISTING, indirect=True)
def test_folder_without_a_manifest_cannot_be_pinned(store, fetch):
    with pytest.raises(Usage, match="nothing can pin: pack it"):
        fetch(folder(store, "a.onnx"), digest="sha256:" + "0" * 64)


@pytest.mark.parametrize("store", LISTING, indirect=True)
def test_folder_of_too_many_files_is_refused(store, fetch, monkeypatch):
    monkeypatch.setattr(contents, "MAX_FILES", 2)
    with pytest.raises(RefusedByPolicy, match="more than 2 files"):
        fetch(folder(store, "a.onnx", "b", "c"))


@pytest.mark.parametrize("store", ["gs", "s3"], indirect=True)
@pytest.mark.parametrize("path", ["a\\b", "c:d", "e "])
def test_names_of_objects_that_are_not_safe_are_refused(store, fetch, path):
    with pytest.raises(RefusedByPolicy, match="path"):
        fetch(folder(store, "a.onnx", path))


def test_patterns_do_not_thin_out_a_bundle(store, pack, fetch):
    with pytest.raises(Usage, match="comes whole"):
        fetch(pack().into(store, "churn"), patterns=Patterns(("*.joblib",)))
