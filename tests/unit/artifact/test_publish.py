import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from model_artifact.bundle import verify
from model_artifact.errors import AlreadyPublished, DigestMismatch, PathRefused
from model_artifact.locks import locked
from model_artifact.publish import STAGING, place, publish, published_versions, staging, sweep

MakeBundle = Callable[..., Path]
Put = Callable[..., Path]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def put(make_bundle: MakeBundle, root: Path) -> Put:
    """Return a function that stages and publishes a bundle of one file."""

    def run(content: bytes = b"weights", *, replace: bool = False, **identity: str) -> Path:
        with staging(root) as staged:
            make_bundle({"model.onnx": content, "deep/golden.json": b"{}"}, folder=staged, **identity)
            return publish(staged, root, replace=True) if replace else publish(staged, root)

    return run


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    before = os.umask(0)
    os.umask(before)
    yield os.umask
    os.umask(before)


def everything(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir())


def open_files() -> list[str]:
    """Files that this process holds, whatever threads of other tests open or close meanwhile."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(str(link.readlink()))
    return found


PUBLISHED = ["churn/1/deep/golden.json", "churn/1/manifest.json", "churn/1/model.onnx"]


def test_a_bundle_appears_under_its_name_and_version_and_staging_is_gone(root: Path, put: Put) -> None:
    target = put()
    assert target == root / "churn" / "1" == place(root, "churn", "1")
    assert (target / "model.onnx").read_bytes() == b"weights"
    verify(target)
    assert everything(root) == PUBLISHED
    assert not (root / STAGING).exists()


def test_publishing_the_same_again_keeps_what_is_there(root: Path, put: Put) -> None:
    before = put().stat().st_ino
    assert put().stat().st_ino == before
    assert put(replace=True).stat().st_ino == before
    assert everything(root) == PUBLISHED


def test_other_content_is_refused_unless_it_is_to_be_replaced(root: Path, put: Put) -> None:
    target = put()
    with pytest.raises(AlreadyPublished, match="churn/1 exists with other content; choose a new version, or replace"):
        put(b"other")
    assert (target / "model.onnx").read_bytes() == b"weights"
    assert put(b"other", replace=True) == target
    assert (target / "model.onnx").read_bytes() == b"other"
    assert everything(root) == PUBLISHED
    assert not (root / STAGING).exists()


@pytest.mark.parametrize("content", [b"weights", b"other"])
def test_a_damaged_version_heals(put: Put, content: bytes) -> None:
    target = put()
    (target / "model.onnx").write_bytes(b"damaged")
    assert put(content) == target
    assert (target / "model.onnx").read_bytes() == content
    verify(target)


def test_what_is_no_bundle_is_replaced_only_on_purpose(root: Path, put: Put) -> None:
    (root / "churn" / "1").mkdir(parents=True)
    (root / "churn" / "1" / "notes.txt").write_text("mine")
    with pytest.raises(AlreadyPublished, match="exists and is no bundle"):
        put()
    assert everything(root) == ["churn/1/notes.txt"]
    put(replace=True)
    assert everything(root) == PUBLISHED


def test_what_does_not_verify_is_not_published(root: Path, make_bundle: MakeBundle) -> None:
    with staging(root) as staged:
        make_bundle(folder=staged)
        (staged / "model.onnx").write_bytes(b"changed")
        with pytest.raises(DigestMismatch):
            publish(staged, root)
    assert everything(root) == []
    assert not (root / STAGING).exists()


def test_an_interrupted_run_leaves_nothing(root: Path) -> None:
    def interrupted() -> None:
        with staging(root) as staged:
            (staged / "half").write_bytes(b"")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(root.iterdir()) == []


def test_a_replacement_that_fails_brings_the_old_one_back(
    root: Path, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = put()
    rename = Path.rename

    def full_disk(self: Path, other: Path) -> Path:
        if self.name == "bundle":
            raise OSError("No space left on device")
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", full_disk)
    with pytest.raises(OSError, match="No space"):
        put(b"other", replace=True)
    assert (target / "model.onnx").read_bytes() == b"weights"
    assert everything(root) == PUBLISHED


def test_what_a_killed_run_left_is_swept_and_living_runs_are_not(root: Path) -> None:
    dead = root / STAGING / "dead"
    (dead / "bundle").mkdir(parents=True)
    (dead / "bundle" / "half").write_bytes(b"")
    dead.with_suffix(".lock").touch()
    with staging(root) as living:
        assert not dead.exists()
        (living / "mine").write_bytes(b"")
        sweep(root)
        with staging(root) as other:
            assert other != living
        assert (living / "mine").exists()
    assert list(root.iterdir()) == []


def test_sweeping_alone_leaves_nothing_and_keeps_no_file_open(root: Path, put: Put) -> None:
    put()
    (root / STAGING / "dead").mkdir(parents=True)
    (root / STAGING / "dead.lock").touch()
    sweep(root)
    put(version="2")
    assert not (root / STAGING).exists()
    assert [path for path in open_files() if path.startswith(str(root))] == []


def test_sweeping_what_is_not_there_does_nothing(root: Path) -> None:
    sweep(root)
    assert not root.exists()


def test_modes_follow_the_umask(root: Path, put: Put, umask: Callable[[int], int]) -> None:
    for mask, version in ((0o027, "1"), (0o002, "2")):
        umask(mask)
        target = put(version=version)
        modes = {stat.S_IMODE(path.stat().st_mode) for path in target.rglob("*") if path.is_file()}
        assert modes == {0o666 & ~mask}
        assert {stat.S_IMODE(path.stat().st_mode) for path in (target, target / "deep")} == {0o777 & ~mask}


def test_nobody_sees_half_a_model_while_versions_are_replaced(root: Path, put: Put) -> None:
    target, done, seen = put(), threading.Event(), set()

    def watch() -> None:
        while not done.is_set():
            with suppress(FileNotFoundError):  # between the two renames
                before = os.open(target, os.O_RDONLY)  # held, or its number soon is that of another one
                try:
                    names = frozenset(path.name for path in target.iterdir())
                    if os.path.samestat(os.fstat(before), target.stat()):  # else it is the old one, being removed
                        seen.add(names)
                finally:
                    os.close(before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for number in range(20):
        put(str(number).encode(), replace=True)
    done.set()
    watcher.join(timeout=60)
    assert seen == {frozenset({"model.onnx", "deep", "manifest.json"})}


def test_a_sweep_finds_nothing_where_staging_goes_away_under_its_eyes(root: Path) -> None:
    rounds, done = 60_000, threading.Event()

    def come_and_go() -> None:
        while not done.is_set():
            (root / STAGING).mkdir(parents=True, exist_ok=True)
            with suppress(OSError):  # the sweep was quicker
                (root / STAGING).rmdir()

    other = threading.Thread(target=come_and_go)
    other.start()
    try:
        for _ in range(rounds):
            sweep(root)
    finally:
        done.set()
        other.join()


def test_publishers_of_the_same_bundle_do_not_disturb_each_other(root: Path, put: Put) -> None:
    results: list[Path | Exception] = []

    def work() -> None:
        for _ in range(5):
            try:
                results.append(put())
            except Exception as error:
                results.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert results == [root / "churn" / "1"] * 20
    assert everything(root) == PUBLISHED


@pytest.mark.parametrize(
    ("name", "version"), [("..", "1"), ("churn", ".."), ("a/b", "1"), ("", "1"), (".staging", "1")]
)
def test_a_place_has_a_good_name_and_version(root: Path, name: str, version: str) -> None:
    with pytest.raises(PathRefused):
        place(root, name, version)


@pytest.mark.parametrize("link", ["churn", "churn/1"])
def test_nothing_is_published_through_a_link(root: Path, put: Put, tmp_path: Path, link: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (root / link).parent.mkdir(parents=True)
    (root / link).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PathRefused, match="symbolic link"):
        put(replace=True)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_versions_are_listed_lowest_first(root: Path, put: Put) -> None:
    assert published_versions(root, "churn") == []
    for version in ("10", "9", "2.10", "2.9"):
        put(version=version)
    (root / "churn" / "lost+found").mkdir()
    (root / "churn" / "file").touch()
    put(name="other")
    assert published_versions(root, "churn") == ["2.9", "2.10", "9", "10"]
    with pytest.raises(PathRefused):
        published_versions(root, "../models/churn")


def test_only_one_publishes_at_a_time(root: Path, put: Put) -> None:
    order: list[str] = []

    def other() -> None:
        put()
        order.append("published")

    with locked(root / STAGING / "publish.lock"):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(timeout=0.2)
        order.append("released")
    thread.join(timeout=60)
    assert order == ["released", "published"]
