"""Models that are mounted: verified where they lie, with the endings of a fetch, and nothing written."""

import json
import os
import stat
from hashlib import sha256
from pathlib import Path

import pytest

from model_artifact.delivery import AccessDenied, ChecksumMismatch, NotFound, RefusedByPolicy, Unreachable, Usage
from model_fetcher.in_place import verify_in_place
from model_fetcher.plan import Wanted
from model_fetcher.progress import Progress

NONE = f"sha256:{'0' * 64}"


@pytest.fixture
def volume(tmp_path, pack):
    """A root with versions 2 and 10 of churn; gives the root and what was packed, by version."""
    root = tmp_path / "volume"
    packed = {version: pack(version=version, model=version.encode()) for version in ("2", "10")}
    for version, bundle in packed.items():
        put(root / "churn" / version, bundle)
    return root, packed


def put(folder: Path, bundle) -> None:
    for path, data in bundle.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)


def check(place, **options):
    required = options.pop("require_pinned", False)
    return verify_in_place(Wanted(str(place), **options), Progress(), require_pinned=required)


@pytest.mark.parametrize("below", ["", "churn", "churn/10"])
def test_a_root_a_folder_of_versions_and_a_bundle_are_found(volume, below):
    root, packed = volume
    done = check(root / below)
    assert (done.path, done.name, done.version) == (root / "churn" / "10", "churn", "10")
    assert (done.digest, done.moved, done.identity) == (packed["10"].digest, 0, f"local user {os.getuid()}")


def test_version_or_digest_choose_another_than_the_highest(volume):
    root, packed = volume
    assert check(root, version="2").version == "2"
    assert check(root, name="churn", digest=packed["2"].digest, require_pinned=True).version == "2"
    assert check(f"file://{root}/churn", digest=packed["2"].digest).version == "2"


def test_nothing_is_written(volume, tree):
    root, _ = volume
    before = tree(root), root.stat().st_mtime_ns
    check(root)
    assert (tree(root), root.stat().st_mtime_ns) == before


@pytest.mark.parametrize("damage", [b"modeL", b"1", b"", None])
def test_damaged_files_are_noticed(volume, damage):
    root, packed = volume
    file = root / "churn" / "10" / "model.joblib"
    file.unlink() if damage is None else file.write_bytes(damage)
    with pytest.raises(ChecksumMismatch, match=r"model\.joblib") as caught:
        check(root, digest=packed["10"].digest)
    assert caught.value.uri == str(root)
    assert check(root, version="2").version == "2"


def test_a_manifest_that_was_changed_is_not_the_pinned_one(volume):
    root, packed = volume
    manifest = root / "churn" / "10" / "manifest.json"
    manifest.write_bytes(manifest.read_bytes() + b"\n")
    with pytest.raises(ChecksumMismatch, match=r"expected sha256:.*, found sha256:"):
        check(root, digest=packed["10"].digest)
    manifest.write_bytes(b"{}")
    with pytest.raises(RefusedByPolicy, match="schemaVersion"):
        check(root)


def test_files_that_no_manifest_lists_are_refused(volume):
    root, _ = volume
    (root / "churn" / "10" / "hooks.py").write_text("print()")
    with pytest.raises(ChecksumMismatch, match="not listed"):
        check(root)


def test_unpinned_is_refused_where_pins_are_required(volume):
    with pytest.raises(RefusedByPolicy, match="must be: give --digest"):
        check(volume[0], require_pinned=True)


def test_a_name_or_version_that_is_not_there(volume):
    root, _ = volume
    for options, hint in (({"name": "fraud"}, "there is churn"), ({"version": "3"}, "there is 2, 10")):
        with pytest.raises(NotFound, match=hint):
            check(root, **options)
    with pytest.raises(RefusedByPolicy, match="says name 'churn', not 'fraud'"):
        check(root / "churn" / "2", name="fraud")


def test_several_models_need_a_name(volume, pack):
    root, _ = volume
    put(root / "fraud" / "1", pack("fraud"))
    with pytest.raises(Usage, match="holds churn, fraud: say which with --name"):
        check(root)
    assert check(root, name="fraud").name == "fraud"


def test_nothing_there(tmp_path):
    with pytest.raises(NotFound, match="does not exist"):
        check(tmp_path / "nowhere")
    with pytest.raises(NotFound, match="it has nothing"):
        check(tmp_path)


@pytest.mark.parametrize("uri", ["gs://models/churn", "https://host/churn"])
def test_only_paths_lie_somewhere(uri):
    with pytest.raises(Usage, match="--in-place takes a path"):
        check(uri)


@pytest.mark.parametrize(
    ("file", "below", "identity"),
    [
        ("churn.onnx", "", ("churn", "1")),
        ("churn.onnx", "churn.onnx", ("churn", "1")),
        ("fraud/7/model.onnx", "", ("fraud", "7")),
        ("fraud/7/model.onnx", "fraud", ("fraud", "7")),
    ],
)
def test_bare_files_are_hashed_and_compared_with_their_pin(tmp_path, file, below, identity):
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"weights")
    done = check(tmp_path / below, sha256=sha256(b"weights").hexdigest(), require_pinned=True)
    assert (done.name, done.version) == identity
    with pytest.raises(ChecksumMismatch, match="expected 0000"):
        check(tmp_path / below, sha256="0" * 64)
    with pytest.raises(Usage, match="--sha256"):
        check(tmp_path / below, digest=NONE)


def test_sha256_pins_what_a_fetch_made_of_a_bare_file(tmp_path, fetch):
    (tmp_path / "fraud.onnx").write_bytes(b"weights")
    pin = sha256(b"weights").hexdigest()
    done = fetch(str(tmp_path / "fraud.onnx"), sha256=pin)
    assert check(done.path, sha256=pin).digest == done.digest
    with pytest.raises(ChecksumMismatch):
        check(done.path, sha256="0" * 64)


def test_sha256_pins_no_bundle_of_several_forms(volume):
    root, _ = volume
    manifest = root / "churn" / "10" / "manifest.json"
    document = json.loads(manifest.read_bytes())
    document["formats"].append({"kind": "onnx", "path": "extra/notes.txt"})
    manifest.write_text(json.dumps(document))
    with pytest.raises(Usage, match="is a bundle: pin it with --digest"):
        check(root, sha256="0" * 64)


def test_a_volume_that_may_not_be_read(volume, monkeypatch):
    root, _ = volume
    refuse_reading(monkeypatch, "model.joblib", PermissionError(13, "Permission denied"))
    with pytest.raises(AccessDenied, match=r"model\.joblib .*Permission denied"):
        check(root)


def test_a_volume_that_fails(volume, monkeypatch):
    root, _ = volume
    refuse_reading(monkeypatch, "manifest.json", OSError(5, "Input/output error"))
    with pytest.raises(Unreachable, match="Input/output error"):
        check(root)


def test_a_folder_that_may_not_be_looked_into(volume, monkeypatch):
    root, _ = volume

    def refuse(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(AccessDenied, match=r"cannot read .*volume: Permission denied"):
        check(root)


def refuse_reading(monkeypatch, name: str, error: OSError) -> None:
    """Tests may run as root, whom no mode keeps out."""
    before = Path.lstat

    def lstat(path: Path) -> os.stat_result:
        if path.name == name:
            raise error
        return before(path)

    monkeypatch.setattr(Path, "lstat", lstat)


def test_the_program_says_how_it_ended_and_leaves_a_termination_message(volume, program, tmp_path):
    root, packed = volume
    log = tmp_path / "log"
    environ = {
        "MODELPORT_FETCH_IN_PLACE": "true",
        "MODELPORT_FETCH_ROOT": str(root),
        "MODELPORT_FETCH_DIGEST": packed["10"].digest,
        "MODELPORT_FETCH_TERMINATION_MESSAGE_PATH": str(log),
    }
    for folder in (root / "churn" / "10", root / "churn", root):
        folder.chmod(stat.S_IREAD | stat.S_IEXEC)
    done = program(**environ)
    assert (done.returncode, json.loads(done.stdout)["path"]) == (0, str(root / "churn" / "10"))
    assert json.loads(done.stderr.splitlines()[-1])["message"] == "verified"
    (root / "churn" / "10" / "model.joblib").write_bytes(b"11")
    failed = program(**environ)
    assert failed.returncode == 14
    assert json.loads(log.read_text())["reason"] == "ChecksumMismatch"
    assert "Traceback" not in failed.stderr


@pytest.mark.parametrize(
    ("argv", "said"),
    [(["a", "b"], "--in-place takes one path"), (["a", "--allow-patterns", "*"], "verifies all of a model")],
)
def test_arguments_that_make_no_sense(program, argv, said):
    done = program("--in-place", *argv)
    assert (done.returncode, said in done.stderr) == (2, True)


def test_only_the_one_that_is_served_has_to_be_whole(volume):
    root, _ = volume
    (root / "churn" / "2" / "model.joblib").write_bytes(b"damaged")
    assert check(root).version == "10"
