"""Model files that nobody packed: where they count as a model, and the manifest that exists in memory only."""

import os
from hashlib import sha256
from pathlib import Path

import pytest

from model_artifact.bare import bare_bundle
from model_artifact.bundle import open_bundle, verify
from model_artifact.digests import CHUNK
from model_artifact.errors import DigestMismatch, PathRefused
from model_artifact.publish import default_version, published_models, published_versions, verify_published


def put(path: Path, data: bytes = b"weights") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_a_file_that_is_all_of_a_version_counts_beside_bundles(tmp_path, make_bundle):
    make_bundle(folder=tmp_path / "churn" / "9")
    put(tmp_path / "churn" / "10" / "anything.ONNX")
    put(tmp_path / "fraud" / "1" / "model.skops")
    assert published_models(tmp_path) == ["churn", "fraud"]
    assert published_versions(tmp_path, "churn") == ["9", "10"]
    bundle = verify_published(tmp_path, "churn", "10")
    assert (bundle.manifest.name, bundle.manifest.version, bundle.manifest.origin) == ("churn", "10", "fetched")
    assert bundle.path("anything.ONNX").read_bytes() == b"weights"


def test_a_file_in_the_root_is_a_model_of_its_own_name(tmp_path):
    put(tmp_path / "churn.joblib")
    put(tmp_path / "readme.md")
    assert published_models(tmp_path) == ["churn"]
    assert published_versions(tmp_path, "churn") == ["1"]
    manifest = verify_published(tmp_path, "churn", "1").manifest
    assert [(each.kind, each.path) for each in manifest.formats] == [("joblib", "churn.joblib")]


def test_a_folder_of_the_same_name_hides_the_file(tmp_path, make_bundle):
    put(tmp_path / "churn.onnx")
    make_bundle(folder=tmp_path / "churn" / "3", version="3")
    assert published_versions(tmp_path, "churn") == ["3"]


def test_two_files_of_one_name_are_refused_and_hide_no_other(tmp_path):
    put(tmp_path / "churn.onnx")
    put(tmp_path / "churn.joblib")
    put(tmp_path / "fraud.onnx")
    assert published_models(tmp_path) == ["churn", "fraud"]
    assert verify_published(tmp_path, "fraud", "1").manifest.name == "fraud"
    with pytest.raises(PathRefused, match=r"churn\.joblib, churn\.onnx: which one is churn"):
        verify_published(tmp_path, "churn", "1")


@pytest.mark.parametrize("beside", ["manifest.json.pushing", "model.joblib", "notes/readme.md"])
def test_a_version_that_is_still_being_copied_does_not_count(tmp_path, beside):
    put(tmp_path / "churn" / "1" / "model.onnx")
    put(tmp_path / "churn" / "1" / beside)
    assert published_versions(tmp_path, "churn") == []


@pytest.mark.parametrize("place", ["churn/1/model.onnx", "churn.onnx"])
def test_links_are_no_models(tmp_path, place):
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).symlink_to(put(tmp_path / "elsewhere.bin"))
    assert published_models(tmp_path) == []


def test_nothing_is_written(tmp_path):
    file = put(tmp_path / "churn.onnx")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path, file)}
    verify_published(tmp_path, "churn", "1")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} | {
        tmp_path: tmp_path.stat().st_mtime_ns
    } == before


def test_everybody_who_reads_the_volume_gets_the_same_digest(tmp_path):
    first, second = put(tmp_path / "a" / "m.onnx"), put(tmp_path / "b" / "m.onnx")
    os.utime(first, (0, 1_700_000_000))
    os.utime(second, (0, 1_700_000_000))
    digests = {bare_bundle(file, "churn", "1").digest for file in (first, second)}
    assert len(digests) == 1
    assert bare_bundle(first, "churn", "1").manifest.created == "2023-11-14T22:13:20+00:00"
    put(second, b"weightS")
    os.utime(second, (0, 1_700_000_000))
    assert bare_bundle(second, "churn", "1").digest not in digests


def test_a_digest_pins_no_bare_file(tmp_path):
    put(tmp_path / "churn.onnx")
    with pytest.raises(DigestMismatch, match="bare file without a manifest"):
        verify_published(tmp_path, "churn", "1", f"sha256:{'0' * 64}")


def test_what_is_no_model_file_is_refused(tmp_path):
    with pytest.raises(PathRefused, match="is no model file"):
        bare_bundle(put(tmp_path / "notes.txt"), "churn", "1")


def test_who_listens_hears_of_every_byte(tmp_path, make_bundle):
    data = b"x" * (2 * CHUNK + 5)
    told: list[int] = []
    bundle = bare_bundle(put(tmp_path / "m.onnx", data), "m", "1", tell=told.append)
    assert bundle.manifest.files[0].sha256 == sha256(data).hexdigest()
    assert told == [CHUNK, CHUNK, 5]
    told.clear()
    verify(make_bundle({"model.onnx": data, "empty": b""}), tell=told.append)
    assert sum(told) == len(data)


def test_the_default_version_is_the_highest_or_the_one_that_the_digest_names(tmp_path, make_bundle):
    assert default_version(tmp_path, "churn") is None
    for version in ("2", "9", "10"):
        make_bundle({"model.onnx": version.encode()}, folder=tmp_path / "churn" / version, version=version)
    put(tmp_path / "churn" / "11" / "model.onnx")
    (tmp_path / "churn" / "12").mkdir()
    (tmp_path / "churn" / "12" / "manifest.json").write_text("{}")
    pin = open_bundle(tmp_path / "churn" / "9").digest
    assert default_version(tmp_path, "churn") == "12"
    assert default_version(tmp_path, "churn", pin) == "9"
    assert default_version(tmp_path, "churn", f"sha256:{'0' * 64}") == "12"


def test_the_file_systems_own_folder_is_no_part_of_a_bundle(make_bundle):
    folder = make_bundle()
    put(folder / "lost+found" / "fragment")
    assert verify(folder).manifest.name == "churn"
    put(folder / "extra" / "lost+found" / "fragment")
    with pytest.raises(DigestMismatch, match="not listed"):
        verify(folder)
