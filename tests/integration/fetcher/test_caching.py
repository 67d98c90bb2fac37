"""A folder that pods share: the second one moves nothing, and nothing in it is believed unseen."""

import os
import threading
import time
from hashlib import sha256

import pytest

from model_artifact.delivery import NotFound
from model_fetcher.cache import Cache, Known
from model_fetcher.destinations import ModelRoot

MODEL = os.urandom(100_000)


@pytest.fixture
def cache(tmp_path, patience):
    return Cache(tmp_path / "cache", notify=patience.notes.append)


@pytest.fixture
def pods(fetch, cache, tmp_path):
    """Each has a volume of its own."""
    numbers = iter(range(100))

    def run(uri, **options):
        return fetch(uri, ModelRoot(tmp_path / f"pod{next(numbers)}"), cache=cache, **options)

    return run


def contents(cache):
    return sorted((cache.root / "sha256").glob("*"))


def test_second_pod_asks_for_nothing_that_is_pinned(web, pack, pods, tree):
    bundle = pack(model=MODEL)
    web.put("m.onnx", MODEL)
    pins = [
        (bundle.into(web, "churn"), {"digest": bundle.digest}),
        (web.uri("m.onnx"), {"sha256": sha256(MODEL).hexdigest()}),
    ]
    for uri, pin in pins:
        first = pods(uri, **pin)
        web.requests.clear()
        second = pods(uri, **pin)
        assert (web.requests, second.moved, second.already_there) == ([], 0, False)
        assert (second.digest, tree(second.path)) == (first.digest, tree(first.path))


def test_second_pod_moves_nothing_of_what_is_not_pinned_either(store, pods, tree):
    store.put("m.onnx", MODEL)
    first, second = pods(store.uri("m.onnx")), pods(store.uri("m.onnx"))
    assert (first.moved, second.moved) == (len(MODEL), 0)
    assert (second.digest, tree(second.path)) == (first.digest, tree(first.path))


def test_web_server_is_asked_whether_it_is_still_the_same(web, pods):
    web.put("m.onnx", MODEL)
    pods(web.uri("m.onnx"))
    web.sent = 0
    pods(web.uri("m.onnx"))
    assert web.sent == 0
    assert "If-None-Match" in web.requests[-1][1]


def test_only_the_manifest_of_an_unpinned_bundle_moves(store, pack, pods):
    bundle = pack(model=MODEL)
    uri = bundle.into(store, "churn")
    pods(uri)
    assert pods(uri).moved == len(bundle.files["manifest.json"])


def test_what_changed_is_fetched(store, pods):
    store.put("m.onnx", MODEL)
    pods(store.uri("m.onnx"))
    store.put("m.onnx", b"new")
    assert (pods(store.uri("m.onnx")).path / "m.onnx").read_bytes() == b"new"


def test_what_is_gone_is_not_found_for_all_that_is_known(web, pods):
    web.put("m.onnx", MODEL)
    pods(web.uri("m.onnx"))
    web.objects.clear()
    with pytest.raises(NotFound):
        pods(web.uri("m.onnx"))


def test_contents_are_kept_once(web, pack, pods, cache):
    for version in "12":
        pods(pack(version=version, model=MODEL).into(web, version))
    assert len([path for path in contents(cache) if path.stat().st_size == len(MODEL)]) == 1


@pytest.mark.parametrize("damage", [b"", b"rot", MODEL[:-1] + b"x"])
def test_damaged_contents_are_fetched_anew(web, pack, pods, cache, damage):
    bundle = pack(model=MODEL)
    uri = bundle.into(web, "churn")
    pods(uri, digest=bundle.digest)
    for path in contents(cache):
        path.chmod(0o600)
        path.write_bytes(damage)
    assert (pods(uri, digest=bundle.digest).path / "model.joblib").read_bytes() == MODEL
    assert pods(uri, digest=bundle.digest).moved == 0


def test_anything_in_it_may_be_deleted(web, pods, cache):
    web.put("m.onnx", MODEL)
    pods(web.uri("m.onnx"))
    for path in contents(cache):
        path.unlink()
    assert pods(web.uri("m.onnx")).moved >= len(MODEL)


@pytest.mark.parametrize("file", range(4))
def test_what_was_deleted_is_found_again_among_versions(folder_store, pack, pods, cache, file):
    bundle = pack(version="1", model=MODEL)
    for version, each in {"1": bundle, "2": pack(version="2")}.items():
        each.into(folder_store, f"churn/{version}")
    uri = folder_store.uri("churn")
    pods(uri, digest=bundle.digest)
    contents(cache)[file].unlink()
    assert pods(uri, digest=bundle.digest).version == "1"
    assert pods(uri, digest=bundle.digest).moved == 0


def test_what_was_not_used_for_longest_goes_first(web, fetch, tmp_path):
    cache = Cache(tmp_path / "cache", limit=250)
    for name in "abcd":
        web.put(f"{name}.onnx", name.encode() * 100)
        for age, path in enumerate(sorted(contents(cache), key=lambda path: path.read_bytes(), reverse=True), start=1):
            os.utime(path, (10_000 - age, 10_000 - age))
        fetch(web.uri(f"{name}.onnx"), cache=cache)
    assert sorted(path.read_bytes()[:1] for path in contents(cache)) == [b"c", b"d"]


def test_cache_that_cannot_be_written_stops_nobody(web, fetch, patience, tmp_path):
    (tmp_path / "cache").mkdir()
    for name in ("tmp", "locks"):
        (tmp_path / "cache" / name).write_bytes(b"in the way")
    web.put("m.onnx", MODEL)
    cache = Cache(tmp_path / "cache", notify=patience.notes.append)
    assert fetch(web.uri("m.onnx"), cache=cache).moved == len(MODEL)
    assert [note.split(" (")[0].split("/cache ")[1] for note in patience.notes] == [
        "cannot be locked",
        "keeps nothing more",
        "keeps nothing more",
    ]


def test_pods_at_once_fetch_only_once(web, pack, pods, patience):
    bundle = pack(model=MODEL)
    uri = bundle.into(web, "churn")
    outcomes = []
    threads = [
        threading.Thread(target=lambda: outcomes.append(pods(uri, digest=bundle.digest).moved)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(outcomes) == [0, 0, 0, sum(map(len, bundle.files.values()))]


def test_waiting_for_another_run_is_said(cache, patience):
    holding, done = threading.Event(), threading.Event()

    def hold():
        with cache.exclusive("it"):
            holding.set()
            while not patience.notes:
                time.sleep(0.001)
        done.set()

    thread = threading.Thread(target=hold)
    thread.start()
    assert holding.wait(60)
    with cache.exclusive("it"):
        assert done.wait(60)
    thread.join()
    assert patience.notes == ["another run is fetching the same: waiting for it"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 1}', "\x00"])
def test_damaged_knowledge_is_no_knowledge(cache, text):
    cache.remember("a", Known("v", "ab", 1))
    assert cache.recall("a") == Known("v", "ab", 1)
    (known,) = (cache.root / "known").iterdir()
    known.write_text(text)
    assert cache.recall("a") is None
    assert cache.recall("b") is None
