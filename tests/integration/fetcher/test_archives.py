"""Archives: what is in them is delivered as though it lay at the URI, and nothing leads out of them."""

import gzip
import io
import stat
import tarfile
import zipfile
from hashlib import sha256

import pytest

from model_artifact.bundle import verify
from model_artifact.delivery import ChecksumMismatch, DiskFull, NotFound, RefusedByPolicy, Usage
from model_fetcher import archives


def tar(files, *, packed=False, members=()):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz" if packed else "w") as archive:
        for path, data in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in members:
            archive.addfile(info)
    return buffer.getvalue()


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in files.items():
            archive.writestr(path, data)
    return buffer.getvalue()


KINDS = {"churn.tar": tar, "churn.tar.gz": lambda files: tar(files, packed=True), "churn.tgz": tar, "churn.zip": zipped}


def wrapped(files, *folders):
    return {"/".join((*folders, path)): data for path, data in files.items()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("folders", [(), ("churn",), ("a", "b")])
def test_bundle_in_an_archive_is_published_whatever_wraps_it(store, pack, fetch, root, tree, kind, folders):
    bundle = pack("churn", "3")
    data = KINDS[kind](wrapped(bundle.files, *folders))
    store.put(f"models/{kind}", data)
    done = fetch(store.uri(f"models/{kind}"), digest=bundle.digest)
    assert (done.path, done.digest, done.moved) == (root / "churn" / "3", bundle.digest, len(data))
    assert tree(root) == {f"churn/3/{path}": content for path, content in bundle.files.items()}


def test_model_file_in_an_archive_takes_the_archives_name(store, fetch, root):
    data = tar({"./weights/model.onnx": b"onnx", "./weights/labels.txt": b"a\nb"}, packed=True)
    store.put("churn.tar.gz", data)
    done = fetch(store.uri("churn.tar.gz"), sha256=sha256(data).hexdigest(), require_pinned=True, version="7")
    assert (done.name, done.version) == ("churn", "7")
    assert verify(root / "churn" / "7").path("model.onnx").read_bytes() == b"onnx"
    assert fetch(store.uri("churn.tar.gz"), version="7").already_there


def test_bundle_again_is_kept(folder_store, pack, fetch):
    bundle = pack()
    folder_store.put("churn.zip", zipped(bundle.files))
    fetch(folder_store.uri("churn.zip"))
    assert fetch(folder_store.uri("churn.zip")).already_there


def put(store, data, name="churn.tar"):
    store.put(name, data)
    return store.uri(name)


def member(path, kind, link=""):
    info = tarfile.TarInfo(path)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize("path", ["../evil", "/etc/evil", "a/../../evil", "a\\..\\evil", "C:evil", "a//b", "a/./b"])
@pytest.mark.parametrize("kind", ["churn.tar", "churn.zip"])
def test_paths_that_lead_out_are_refused(folder_store, fetch, root, tmp_path, kind, path):
    with pytest.raises(RefusedByPolicy, match=r"churn\.\w+: path"):
        fetch(put(folder_store, KINDS[kind]({"model.onnx": b"x", path: b"evil"}), kind))
    assert list(root.iterdir()) == []
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize(
    "special",
    [
        member("link", tarfile.SYMTYPE, "/etc/passwd"),
        member("link", tarfile.SYMTYPE, "model.onnx"),
        member("link", tarfile.LNKTYPE, "../../outside"),
        member("pipe", tarfile.FIFOTYPE),
        member("null", tarfile.CHRTYPE),
        member("disk", tarfile.BLKTYPE),
    ],
    ids=lambda info: f"{info.name}-{info.type!r}",
)
def test_links_and_devices_are_refused(folder_store, fetch, root, special):
    with pytest.raises(RefusedByPolicy, match="no plain file"):
        fetch(put(folder_store, tar({"model.onnx": b"x"}, members=[special])))
    assert list(root.iterdir()) == []


def test_links_in_zips_are_refused(folder_store, fetch):
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("model.onnx", b"x")
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(RefusedByPolicy, match="a link or device, no plain file"):
        fetch(put(folder_store, buffer.getvalue(), "churn.zip"))


@pytest.mark.parametrize("kind", ["churn.tar.gz", "churn.zip"])
def test_bombs_are_refused(folder_store, fetch, root, monkeypatch, kind):
    monkeypatch.setattr(archives, "HARMLESS", 1 << 20)
    bomb = KINDS[kind]({"model.onnx": bytes(16 << 20)})
    assert len(bomb) * archives.MAX_RATIO < 16 << 20
    with pytest.raises(RefusedByPolicy, match="as bombs do"):
        fetch(put(folder_store, bomb, kind))
    assert list(root.iterdir()) == []


def test_archive_with_too_many_members_is_refused(folder_store, fetch, monkeypatch):
    monkeypatch.setattr(archives, "MAX_FILES", 20)
    with pytest.raises(RefusedByPolicy, match="more than 20 files"):
        fetch(put(folder_store, tar({f"{number}.txt": b"" for number in range(21)})))


def test_header_that_claims_to_be_huge_is_not_read(folder_store, fetch):
    info = tarfile.TarInfo("././@PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, 4 << 30
    with pytest.raises(RefusedByPolicy, match="a header of it is said to be"):
        fetch(put(folder_store, gzip.compress(info.tobuf() + bytes(1024)), "churn.tar.gz"))


def test_archive_that_does_not_fit_is_refused(folder_store, fetch, root):
    room = iter([10_000_000, 10_000_000])
    data = tar({"model.onnx": bytes(2000)}, packed=True)
    with pytest.raises(DiskFull, match="unpacks to more than"):
        fetch(put(folder_store, data, "churn.tgz"), free=lambda _: next(room, 1000))
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("name", ["churn.tar", "churn.tar.gz", "churn.zip"])
@pytest.mark.parametrize("data", [b"", b"no archive", b"\x1f\x8bnonsense", b"PK\x03\x04nonsense"])
def test_what_is_no_archive(folder_store, fetch, root, name, data):
    with pytest.raises((ChecksumMismatch, NotFound)):
        fetch(put(folder_store, data, name))
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("name", ["churn.tar", "churn.tar.gz", "churn.zip"])
def test_cut_off_archive(folder_store, pack, fetch, root, name):
    data = KINDS[name](pack(model=bytes(range(256)) * 64).files)
    with pytest.raises((ChecksumMismatch, NotFound)):
        fetch(put(folder_store, data[: len(data) // 2], name))
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("files", [["a", "a"], ["a", "a/b"], ["a/b", "a"], ["a", "A"]])
def test_paths_that_are_in_each_others_way(folder_store, fetch, root, files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in ["model.onnx", *files]:
            archive.addfile(tarfile.TarInfo(path))
    with pytest.raises(RefusedByPolicy):
        fetch(put(folder_store, buffer.getvalue()))
    assert list(root.iterdir()) == []


def test_encrypted_zip_is_refused(folder_store, fetch):
    data = bytearray(zipped({"model.onnx": b"x"}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    with pytest.raises(RefusedByPolicy, match="cannot be unpacked"):
        fetch(put(folder_store, bytes(data), "churn.zip"))


def test_what_the_finder_adds_is_passed_over(folder_store, fetch, tree):
    data = zipped({"m/model.onnx": b"x", "m/": b"", "__MACOSX/m/._model.onnx": b"fork"})
    done = fetch(put(folder_store, data, "churn.zip"))
    assert sorted(tree(done.path)) == ["manifest.json", "model.onnx"]


def test_damaged_file_of_a_bundle_in_an_archive(folder_store, pack, fetch):
    bundle = pack()
    with pytest.raises(ChecksumMismatch, match=r"model\.joblib"):
        fetch(put(folder_store, tar(bundle.files | {"model.joblib": b"modeL"})))
    del bundle.files["model.joblib"]
    with pytest.raises(NotFound, match=r"model\.joblib"):
        fetch(put(folder_store, tar(bundle.files)))


def test_archive_of_an_archive_is_no_model(folder_store, fetch):
    with pytest.raises(NotFound, match="holds no model"):
        fetch(put(folder_store, tar({"inner.tar": tar({"model.onnx": b"x"})})))


def test_wrong_pins(folder_store, pack, fetch):
    uri = put(folder_store, tar(pack().files))
    with pytest.raises(ChecksumMismatch, match="expected sha256"):
        fetch(uri, sha256="0" * 64)
    with pytest.raises(ChecksumMismatch, match="expected sha256:0000"):
        fetch(uri, digest="sha256:" + "0" * 64)
    with pytest.raises(Usage, match="nothing can pin"):
        fetch(put(folder_store, tar({"model.onnx": b"x"}), "loose.tar"), digest="sha256:" + "0" * 64)
