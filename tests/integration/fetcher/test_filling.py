"""Folders that are filled directly, as the serving platforms' initializers do."""

from pathlib import Path

import pytest

from model_artifact.bundle import verify
from model_artifact.delivery import AccessDenied, RefusedByPolicy, Usage
from model_fetcher.destinations import Folder


@pytest.fixture
def fill(folder_store, fetch, root):
    """Fills the volume with a bundle."""

    def run(bundle):
        return fetch(bundle.into(folder_store, bundle.digest[-8:]), Folder(root))

    return run


def test_another_bundle_takes_the_place_of_the_last_one(fill, pack, root, tree):
    fill(pack(**{"old/deep/only.txt": b"x", "both": b"1"}))
    (root / "manifest.json.sig").write_bytes(b"signature of the old one")
    new = pack(version="2", **{"new/only.txt": b"y", "both": b"2"})
    fill(new)
    assert tree(root) == new.files
    assert not (root / "old").exists()


def test_file_and_folder_of_the_same_name_take_turns(fill, pack, root, tree):
    first, second = pack(**{"a/b": b"1"}), pack(a=b"2")
    for bundle in (first, second, first):
        fill(bundle)
        assert tree(root) == bundle.files


def test_damaged_folder_heals(fill, pack, root):
    bundle = pack()
    fill(bundle)
    (root / "model.joblib").write_bytes(b"rot")
    assert not fill(bundle).already_there
    assert verify(root).digest == bundle.digest


@pytest.mark.parametrize("left", ["model.joblib", "extra/notes.txt"])
def test_files_of_a_run_that_was_killed_while_moving_are_taken_over(fill, pack, root, tree, left):
    bundle = pack()
    (root / left).parent.mkdir(parents=True)
    (root / left).write_bytes(b"moved before the end")
    fill(bundle)
    assert tree(root) == bundle.files


def test_unknown_files_are_never_deleted(fill, pack, root, tree):
    root.mkdir()
    (root / "thesis.tex").write_bytes(b"years of work")
    with pytest.raises(RefusedByPolicy, match=r"thesis\.tex belongs to no model"):
        fill(pack())
    assert tree(root) == {"thesis.tex": b"years of work"}


def test_refused_bundle_leaves_the_last_one_whole(fill, pack, root):
    last = pack(aged=b"1")
    fill(last)
    (root / "thesis.tex").write_bytes(b"years of work")
    with pytest.raises(RefusedByPolicy):
        fill(pack(version="2"))
    (root / "thesis.tex").unlink()
    assert verify(root).digest == last.digest


@pytest.mark.parametrize("name", ["manifest.json.d/thesis.tex", "new/thesis.tex"])
def test_unknown_files_in_folders_are_never_deleted(fill, pack, root, name):
    fill(pack())
    (root / name).parent.mkdir()
    (root / name).write_bytes(b"years of work")
    with pytest.raises(RefusedByPolicy, match=r"thesis\.tex belongs to no model"):
        fill(pack(version="2", **{"new/model": b"2"}))


@pytest.mark.parametrize("path", [".staging", ".staging/journal"])
def test_bundle_that_reaches_into_the_staging_area(fill, pack, root, tree, path):
    with pytest.raises(RefusedByPolicy, match=rf"brings '{path}'"):
        fill(pack(**{path: b"thesis.tex"}))
    assert tree(root) == {}


@pytest.mark.parametrize("journal", [b"", b"\n", b"/\n/etc\n../../x\n..", b"\xff\x00"])
def test_damaged_journal_reaches_nothing_outside(fill, pack, root, tmp_path, tree, journal):
    (tmp_path / "beside").mkdir()
    (root / ".staging").mkdir(parents=True)
    (root / ".staging" / "journal").write_bytes(journal)
    bundle = pack()
    fill(bundle)
    assert tree(root) == bundle.files
    assert (tmp_path / "beside").is_dir()


def test_links_in_the_folder_are_not_written_through(fill, pack, root, tmp_path, tree):
    root.mkdir()
    (tmp_path / "outside").mkdir()
    (root / "extra").symlink_to(tmp_path / "outside")
    with pytest.raises(RefusedByPolicy):
        fill(pack())
    assert tree(tmp_path / "outside") == {}


def test_bare_file_lies_there_with_its_manifest(folder_store, fetch, root):
    folder_store.put("m.onnx", b"x")
    fetch(folder_store.uri("m.onnx"), Folder(root))
    assert sorted(path.name for path in root.iterdir()) == ["m.onnx", "manifest.json"]
    assert verify(root).manifest.name == "m"


def test_destination_that_is_a_file(folder_store, fetch, pack, root):
    root.write_bytes(b"")
    with pytest.raises(Usage, match="cannot write"):
        fetch(pack().into(folder_store, "churn"), Folder(root))


def test_destination_that_may_not_be_written(folder_store, fetch, pack):
    with pytest.raises(AccessDenied, match="cannot write /sys/models"):
        fetch(pack().into(folder_store, "churn"), Folder(Path("/sys/models")))
