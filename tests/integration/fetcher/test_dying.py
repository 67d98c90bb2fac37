"""Fills that are killed at any step, and what the folder takes afterwards."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from model_artifact.delivery import RefusedByPolicy
from model_fetcher.destinations import Folder


@pytest.fixture
def bundles(pack):
    """Three that share, swap and nest names, files of one being folders of the next."""
    return [
        pack(version="1", model=b"one", **{"a/b/c": b"1", "old/deep/only": b"1", "both": b"1"}),
        pack(version="2", model=b"two", **{"a/b": b"2", "new/deep/only": b"2", "both/x/y": b"2"}),
        pack(version="3", model=b"three", **{"a": b"3", "new": b"3", "old": b"3", "both/x": b"3"}),
    ]


@pytest.fixture
def published(tree):
    """What lies in a folder outside the staging area."""
    return lambda folder: {path: data for path, data in tree(folder).items() if not path.startswith(".staging/")}


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch):
    """A killed process, unlike a power cut, loses nothing that it wrote: without thousands of fsync calls."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def memory(tmp_path):
    """A folder in memory where there is one: thousands of files are made and removed."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else tmp_path) as folder:
        yield Path(folder)


@pytest.fixture
def deaths(bundles, folder_store, memory):
    """Folders that held the first bundle until fills with the next ones were killed, each a step later."""

    def run(following):
        uris = [bundle.into(folder_store, str(number)) for number, bundle in enumerate(bundles)]
        work = memory / "deaths"
        command = [sys.executable, Path(__file__).with_name("dying.py"), work, *uris[: following + 1]]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr
        folders = sorted(work.iterdir())
        assert len(folders) == int(done.stdout) + 1 > 3 * len(bundles[1].files)
        return folders

    return run


@pytest.mark.parametrize("following", [1, 2], ids=["killed-once", "killed-twice"])
def test_any_bundle_fits_after_a_kill_at_any_step(deaths, bundles, folder_store, fetch, tree, memory, following):
    for folder in deaths(following):
        for number, bundle in enumerate(bundles):
            copy = memory / "copies" / folder.name / str(number)
            shutil.copytree(folder, copy)
            fetch(folder_store.uri(str(number)), Folder(copy))
            assert tree(copy) == bundle.files, copy


def test_a_manifest_never_lies_beside_files_of_another_bundle(deaths, bundles, published):
    for folder in deaths(1):
        files = published(folder)
        assert "manifest.json" not in files or files in [bundle.files for bundle in bundles], folder


def test_files_that_no_bundle_brought_are_kept_after_a_kill(deaths, folder_store, fetch, published):
    for folder in deaths(1):
        (folder / "thesis.tex").write_bytes(b"years of work")
        before = published(folder)
        with pytest.raises(RefusedByPolicy, match=r"thesis\.tex belongs to no model"):
            fetch(folder_store.uri("2"), Folder(folder))
        assert published(folder) == before
