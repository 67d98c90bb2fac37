"""Directories of versions, for every scheme: which one is taken, and what there is."""

import pytest

from model_artifact.delivery import ChecksumMismatch, NotFound

from .stores import LISTING


def test_version_below_the_uri_is_taken_when_named(store, pack, fetch):
    for version in ("9", "10"):
        pack("churn", version).into(store, f"churn/{version}")
    assert fetch(store.uri("churn"), version="9").version == "9"


def test_version_that_is_not_there(store, pack, fetch):
    pack("churn", "9").into(store, "churn/9")
    with pytest.raises(NotFound, match="no version folder"):
        fetch(store.uri("churn"), version="10")


def test_highest_version_is_taken_where_the_scheme_lists(store, pack, fetch):
    for version in ("9", "10", "2"):
        pack("churn", version).into(store, f"churn/{version}")
    store.put("churn/11/model.joblib", b"still being uploaded: no manifest yet")
    if store.lists:
        assert fetch(store.uri("churn")).version == "10"
    else:
        with pytest.raises(NotFound, match=r"manifest\.json"):
            fetch(store.uri("churn"))


def test_versions_are_listed_lowest_first(store, pack, lister):
    packed = {version: pack("churn", version) for version in ("9", "10", "2")}
    for version, bundle in packed.items():
        bundle.into(store, f"models/churn/{version}")
    store.put("models/churn/11/model.joblib", b"still being uploaded: no manifest yet")
    store.put("models/churn/12/manifest.json", b"broken")
    if not store.lists:
        with pytest.raises(NotFound, match="a web server does not list"):
            lister(store.uri("models/churn"))
        return
    found = lister(store.uri("models/churn"))
    assert [(each.version, each.digest) for each in found] == [
        (version, packed[version].digest) for version in ("2", "9", "10")
    ]
    assert (found[0].name, found[0].formats, found[0].created) == ("churn", ["joblib"], "2026-01-01T00:00:00+00:00")
    assert found[0].uri.endswith("models/churn/2")
    assert found[0].size == sum(len(data) for path, data in packed["2"].files.items() if path != "manifest.json")


def test_bundle_is_its_own_only_version(store, pack, lister):
    (found,) = lister(pack("churn", "3").into(store, "models/churn"))
    assert (found.version, found.uri) == ("3", store.uri("models/churn"))


@pytest.mark.parametrize("store", LISTING, indirect=True)
def test_no_versions_names_what_is_near(store, pack, lister):
    pack().into(store, "models/churn")
    with pytest.raises(NotFound, match=r"holds no versions; there is .*churn"):
        lister(store.uri("models/chrun"))


def test_the_digest_chooses_among_versions(store, pack, fetch):
    packed = {version: pack("churn", version) for version in ("9", "10", "2")}
    for version, bundle in packed.items():
        bundle.into(store, f"churn/{version}")
    store.put("churn/11/model.joblib", b"still being uploaded: no manifest yet")
    if not store.lists:
        with pytest.raises(NotFound):
            fetch(store.uri("churn"), digest=packed["2"].digest)
        return
    for version in ("10", "2"):
        assert fetch(store.uri("churn"), digest=packed[version].digest, require_pinned=True).version == version


@pytest.mark.parametrize("store", LISTING, indirect=True)
def test_a_digest_that_no_version_has_names_what_they_have(store, pack, fetch, root):
    packed = pack("churn", "9")
    packed.into(store, "churn/9")
    with pytest.raises(ChecksumMismatch, match=f"no version has it; 9/manifest.json is {packed.digest}"):
        fetch(store.uri("churn"), digest=f"sha256:{'0' * 64}")
    with pytest.raises(ChecksumMismatch, match="expected sha256:0000"):
        fetch(store.uri("churn"), digest=f"sha256:{'0' * 64}", version="9")
    assert not root.exists()
