"""Folders as sources: links, folders in the place of files, and plain paths."""

import os
from contextlib import contextmanager
from pathlib import Path

import pytest

from model_artifact.delivery import AccessDenied, NotFound, RefusedByPolicy, Usage
from model_fetcher.sources.base import Ask
from model_fetcher.sources.local import LocalSource


def test_plain_and_percent_encoded_paths(folder_store, fetch, monkeypatch):
    folder_store.put("a b/m.onnx", b"x")
    monkeypatch.chdir(folder_store.root)
    first = fetch("a b/m.onnx")
    assert fetch(f"file://{folder_store.root}/a%20b/m.onnx").already_there
    assert fetch(f"file://localhost{folder_store.root}/a%20b/m.onnx").path == first.path


def test_host_in_a_file_uri(fetch):
    with pytest.raises(Usage, match="three slashes"):
        fetch("file://models/m.onnx")


def test_link_to_what_is_fetched_is_followed(folder_store, pack, fetch):
    pack().into(folder_store, "real")
    (folder_store.root / "latest").symlink_to("real")
    assert fetch(folder_store.uri("latest")).name == "churn"


@pytest.mark.parametrize("linked", ["model.joblib", "extra"])
def test_links_inside_a_bundle_are_refused(folder_store, pack, fetch, root, linked):
    pack().into(folder_store, "churn")
    inside = folder_store.root / "churn" / linked
    inside.rename(folder_store.root / "elsewhere")
    inside.symlink_to(folder_store.root / "elsewhere")
    with pytest.raises(RefusedByPolicy, match="symbolic link"):
        fetch(folder_store.uri("churn"))
    assert list(root.iterdir()) == []


def test_links_are_not_versions(folder_store, pack, fetch):
    pack(version="2").into(folder_store, "churn/2")
    (folder_store.root / "churn" / "9").symlink_to("2")
    assert fetch(folder_store.uri("churn")).version == "2"


def test_folder_that_is_called_like_a_file(folder_store, pack, fetch):
    uri = pack().into(folder_store, "churn.onnx")
    with pytest.raises(NotFound, match="is a folder, not a file"):
        fetch(uri)
    assert fetch(f"{uri}/").name == "churn"


def test_file_that_is_no_model(folder_store, fetch):
    folder_store.put("notes.txt", b"x")
    with pytest.raises(NotFound, match=r"nothing is named like a model file \(.onnx"):
        fetch(folder_store.uri("notes.txt"))


def test_named_pipes_are_refused_without_waiting(folder_store, fetch):
    folder_store.put("x", b"")
    os.mkfifo(folder_store.root / "m.onnx")
    with pytest.raises(RefusedByPolicy, match="not a regular file"):
        fetch(folder_store.uri("m.onnx"))


def test_name_that_cannot_be_one(folder_store, fetch):
    folder_store.put("my model!.onnx", b"x")
    with pytest.raises(Usage, match="--name"):
        fetch(folder_store.uri("my model!.onnx"))
    assert fetch(folder_store.uri("my model!.onnx"), name="mine").name == "mine"


def test_file_that_may_not_be_read(folder_store, monkeypatch):
    """As a user who is nobody where the tests run as root, since root may read everything."""
    folder_store.put("m.onnx", b"x")
    (folder_store.root / "m.onnx").chmod(0o000)
    monkeypatch.chdir(folder_store.root)
    with as_nobody(), pytest.raises(AccessDenied, match="may not be read"), LocalSource(Path("m.onnx")).open(Ask()):
        pass


@contextmanager
def as_nobody():
    own = os.geteuid()
    if own == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(own)
