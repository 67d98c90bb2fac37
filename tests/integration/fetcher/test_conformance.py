"""What every scheme must do alike. A new scheme is one more store in conftest."""

import pickle
from hashlib import sha256

import pytest

from model_artifact.bundle import verify
from model_artifact.delivery import ChecksumMismatch, DiskFull, NotFound, RefusedByPolicy, Usage
from model_fetcher.destinations import Folder, ModelRoot

LARGE = bytes(range(256)) * 4096 * 33
"""33 MiB: more than one chunk and more than one range of any scheme."""


def test_bundle_is_published_under_its_name_with_exactly_its_files(store, pack, fetch, root, tree):
    bundle = pack("churn", "3")
    done = fetch(bundle.into(store, "models/churn"))
    assert done.path == root / "churn" / "3"
    assert tree(root) == {f"churn/3/{path}": data for path, data in bundle.files.items()}
    assert (done.digest, done.already_there) == (bundle.digest, False)
    assert done.moved == sum(map(len, bundle.files.values()))


def test_a_slash_at_the_end_means_the_same(store, pack, fetch, root):
    bundle = pack()
    fetch(bundle.into(store, "churn") + "/")
    assert verify(root / "churn" / "1").digest == bundle.digest


def test_a_sibling_with_the_same_prefix_is_not_touched(store, pack, fetch, root, tree):
    pack("churn-old").into(store, "churn-old")
    bundle = pack("churn")
    fetch(bundle.into(store, "churn"))
    assert set(tree(root)) == {f"churn/1/{path}" for path in bundle.files}


def test_objects_beside_the_listed_ones_are_not_fetched(store, pack, fetch, tree):
    bundle = pack()
    store.put("churn/readme.md", b"not listed")
    assert tree(fetch(bundle.into(store, "churn")).path) == bundle.files


@pytest.mark.parametrize("data", [b"", b"x", LARGE], ids=["empty", "small", "large"])
def test_bare_file_gets_a_manifest_of_its_own(store, fetch, root, data):
    store.put("some/where/model.joblib", data)
    done = fetch(store.uri("some/where/model.joblib"))
    bundle = verify(root / "model" / "1")
    assert bundle.path("model.joblib").read_bytes() == data
    assert (bundle.manifest.origin, bundle.manifest.signature, bundle.manifest.framework) == ("fetched", None, None)
    assert bundle.manifest.formats[0].kind == "joblib"
    assert (done.digest, done.moved) == (bundle.digest, len(data))


def test_bare_file_takes_another_name_and_version(store, fetch, root):
    store.put("m.onnx", b"onnx")
    fetch(store.uri("m.onnx"), name="churn", version="2026.1")
    assert verify(root / "churn" / "2026.1").manifest.formats[0].kind == "onnx"


def test_names_that_need_escapes_in_addresses(store, pack, fetch, tree):
    bundle = pack(**{"a b/ü+&=.txt": b"odd"})
    assert tree(fetch(bundle.into(store, "churn")).path) == bundle.files


def test_again_is_verified_and_moves_only_the_manifest(store, pack, fetch, tree, root):
    bundle = pack()
    uri = bundle.into(store, "churn")
    first = fetch(uri)
    before = {path: path.stat().st_ino for path in root.rglob("*")}
    again = fetch(uri)
    assert (again.already_there, again.path) == (True, first.path)
    assert again.moved == len(bundle.files["manifest.json"])
    assert {path: path.stat().st_ino for path in root.rglob("*")} == before


def test_pinned_bare_file_again_moves_nothing(store, fetch):
    store.put("m.joblib", b"bytes")
    pin = sha256(b"bytes").hexdigest()
    assert fetch(store.uri("m.joblib"), sha256=pin).moved == 5
    again = fetch(store.uri("m.joblib"), sha256=pin)
    assert (again.moved, again.already_there) == (0, True)


def test_unpinned_bare_file_again_is_kept(store, fetch):
    store.put("m.joblib", b"bytes")
    first = fetch(store.uri("m.joblib"))
    again = fetch(store.uri("m.joblib"))
    assert (again.digest, again.already_there) == (first.digest, True)


def test_right_pins_pass(store, pack, fetch):
    bundle = pack()
    store.put("m.skops", b"bytes")
    assert fetch(bundle.into(store, "churn"), digest=bundle.digest, require_pinned=True).digest == bundle.digest
    assert fetch(store.uri("m.skops"), sha256=sha256(b"bytes").hexdigest(), require_pinned=True).name == "m"


def test_wrong_digest_is_refused_before_anything_else_is_fetched(store, pack, fetch, root):
    uri = pack().into(store, "churn")
    with pytest.raises(ChecksumMismatch, match=r"expected sha256:0000.*found sha256:"):
        fetch(uri, digest="sha256:" + "0" * 64)
    assert not root.exists()


def test_wrong_sha256_publishes_nothing(store, fetch, root, tree):
    store.put("m.joblib", b"bytes")
    with pytest.raises(ChecksumMismatch, match=r"m\.joblib: expected sha256"):
        fetch(store.uri("m.joblib"), sha256="0" * 64)
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("damage", [b"modeL", b"mode", b"model and more", b""])
def test_damaged_object_publishes_nothing(store, pack, fetch, root, damage):
    uri = pack(model=b"model").into(store, "churn")
    store.put("churn/model.joblib", damage)
    with pytest.raises(ChecksumMismatch, match=r"model\.joblib"):
        fetch(uri)
    assert list(root.iterdir()) == []


def test_listed_object_that_is_missing_publishes_nothing(store, pack, fetch, root):
    bundle = pack()
    del bundle.files["extra/notes.txt"]
    with pytest.raises(NotFound, match=r"notes\.txt"):
        fetch(bundle.into(store, "churn"))
    assert list(root.iterdir()) == []


def test_pins_of_the_wrong_kind_say_which_to_use(store, pack, fetch):
    store.put("m.joblib", b"bytes")
    with pytest.raises(Usage, match="--sha256"):
        fetch(store.uri("m.joblib"), digest="sha256:" + "0" * 64)
    with pytest.raises(Usage, match="--digest"):
        fetch(pack().into(store, "churn"), sha256="0" * 64)


def test_unpinned_is_refused_where_pins_are_required(store, pack, fetch, root):
    with pytest.raises(RefusedByPolicy, match="not pinned"):
        fetch(pack().into(store, "churn"), require_pinned=True)
    assert not root.exists()


def test_name_and_version_of_a_bundle_are_its_own(store, pack, fetch):
    uri = pack("churn", "3").into(store, "churn")
    assert fetch(uri, name="churn", version="3").version == "3"
    with pytest.raises(RefusedByPolicy, match="name 'churn', not 'other'"):
        fetch(uri, name="other")
    with pytest.raises(RefusedByPolicy, match="version '3', not '4'"):
        fetch(uri, version="4")


def test_manifest_of_absurd_size_is_refused(store, fetch):
    store.put("churn/manifest.json", b" " * (17 << 20))
    with pytest.raises(RefusedByPolicy, match="larger than 16 MiB"):
        fetch(store.uri("churn"))


def test_nothing_there_names_the_uri_who_asked_and_what_is_near(store, pack, fetch, root):
    pack().into(store, "models/churn")
    with pytest.raises(NotFound) as caught:
        fetch(store.uri("models/chrun"))
    assert store.uri("models/chrun").removeprefix("file://") in str(caught.value)
    assert ("churn" in str(caught.value).split("there is")[-1]) == store.lists
    assert caught.value.uri == store.uri("models/chrun")
    assert caught.value.identity
    assert not root.exists()


def test_missing_bare_file_names_what_is_near(store, fetch, root):
    store.put("a/model.joblib", b"x")
    with pytest.raises(NotFound) as caught:
        fetch(store.uri("a/modle.joblib"))
    assert ("a/model.joblib" in str(caught.value)) == store.lists
    assert list(root.iterdir()) == []


def test_model_that_does_not_fit_is_refused_before_it_moves(store, pack, fetch, root):
    uri = pack().into(store, "churn")
    with pytest.raises(DiskFull, match=r"0\.0 MB free and the model needs"):
        fetch(uri, free=lambda _: 3)
    store.put("m.joblib", b"bytes")
    with pytest.raises(DiskFull):
        fetch(store.uri("m.joblib"), free=lambda _: 3)
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("path", ["../evil", "/etc/evil", "a/../../evil", "a\\b", "MANIFEST.json"])
def test_paths_that_leave_the_bundle_are_refused(store, pack, fetch, root, path):
    store.put("churn/manifest.json", pack(**{path: b"x"}).files["manifest.json"])
    with pytest.raises(RefusedByPolicy, match="path"):
        fetch(store.uri("churn"))
    assert not root.exists()


def test_manifest_that_breaks_the_contract_is_refused(store, fetch):
    store.put("churn/manifest.json", b'{"schemaVersion": 99}')
    with pytest.raises(RefusedByPolicy, match="schemaVersion is 99 and this release reads 1"):
        fetch(store.uri("churn"))


def test_other_content_at_the_place_is_kept_unless_told(store, pack, fetch, root):
    old, new = pack(model=b"old"), pack(model=b"new")
    fetch(old.into(store, "old"))
    with pytest.raises(RefusedByPolicy, match="exists with other content"):
        fetch(new.into(store, "new"))
    assert verify(root / "churn" / "1").digest == old.digest
    assert fetch(store.uri("new"), ModelRoot(root, replace=True)).digest == new.digest
    assert verify(root / "churn" / "1").digest == new.digest
    assert [path.name for path in root.iterdir()] == ["churn"]


def test_damaged_volume_heals(store, pack, fetch, root):
    bundle = pack()
    uri = bundle.into(store, "churn")
    (fetch(uri).path / "model.joblib").write_bytes(b"mOdel")
    assert not fetch(uri).already_there
    assert verify(root / "churn" / "1").digest == bundle.digest


def test_folder_is_filled_with_the_bundle_itself(store, pack, fetch, root, tree):
    bundle = pack()
    done = fetch(bundle.into(store, "churn"), Folder(root))
    assert (done.path, tree(root)) == (root, bundle.files)
    assert fetch(store.uri("churn"), Folder(root)).already_there


def test_pickles_are_only_bytes(store, fetch, tmp_path):
    class Malicious:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    data = pickle.dumps(Malicious())
    store.put("m.pkl", data)
    assert (fetch(store.uri("m.pkl")).path / "m.pkl").read_bytes() == data
    assert not (tmp_path / "ran").exists()


def test_several_artifacts_go_where_they_are_told(store, pack, fetch, tmp_path, tree):
    first, second = pack("a"), pack("b", model=LARGE)
    fetch(first.into(store, "a"), Folder(tmp_path / "x"))
    fetch(second.into(store, "b"), Folder(tmp_path / "y"))
    assert (tree(tmp_path / "x"), tree(tmp_path / "y")) == (first.files, second.files)


def test_many_files_come_side_by_side(store, pack, fetch, tree):
    bundle = pack(**{f"part/{number:03}": bytes([number]) * number for number in range(60)})
    assert tree(fetch(bundle.into(store, "churn")).path) == bundle.files
