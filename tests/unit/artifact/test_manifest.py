import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_artifact import manifest as manifests
from model_artifact.errors import ArtifactError, ManifestInvalid, PathRefused
from model_artifact.manifest import (
    FileEntry,
    Format,
    Framework,
    Manifest,
    Parity,
    parse_manifest,
    write_manifest,
)
from model_artifact.signature import Feature, Output, Rule, Signature

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
METADATA = st.dictionaries(
    TEXT,
    st.recursive(
        st.none() | st.booleans() | st.integers() | FINITE | TEXT,
        lambda children: st.lists(children, max_size=2) | st.dictionaries(TEXT, children, max_size=2),
        max_leaves=5,
    ),
    max_size=3,
)
SIGNATURE = Signature(
    "classification",
    "frame",
    (
        Feature("age", "int64", ge=0, lt=150, description="years", example=35),
        Feature("income", "float64", nullable=True, default=0.5),
        Feature("plan", "string", categories=("gold", "basic"), default="gold"),
        Feature("ratio", "float32", computed="income / age"),
    ),
    (Output("prediction", "string"), Output("probabilities", "float64", (2,))),
    classes=(0, 1),
    labels=("stays", "leaves"),
    rules=(Rule("income < 1e6 or plan == 'gold'", "the basic plan is for small incomes"),),
)
FULL = Manifest(
    "churn",
    "3",
    "2026-01-31T08:30:00Z",
    files=(FileEntry("model.onnx", 7, "0" * 64), FileEntry("golden.json", 0, "f" * 64)),
    formats=(Format("onnx", "model.onnx", "float64", Parity(10, 1e-7, 1.0)),),
    framework=Framework("scikit-learn", "1.7.0", "3.11.7", {"numpy": "2.0.0"}),
    signature=SIGNATURE,
    golden="golden.json",
    metadata={"author": "Ada", "metrics": {"auc": 0.9}},
)


@st.composite
def manifest_strategy(draw: st.DrawFn) -> Manifest:
    paths = draw(
        st.lists(st.from_regex(r"[a-z]{1,4}\.[a-z]{1,4}", fullmatch=True), min_size=1, max_size=4, unique=True)
    )
    digests = st.text("0123456789abcdef", min_size=64, max_size=64)
    return Manifest(
        name=draw(st.from_regex(r"[a-zA-Z0-9]{1,8}", fullmatch=True)),
        version=draw(st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3})?", fullmatch=True)),
        created=draw(st.datetimes()).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0"),
        files=tuple(FileEntry(path, draw(st.integers(0)), draw(digests)) for path in paths),
        formats=(Format(draw(st.sampled_from(["onnx", "skops", "joblib"])), draw(st.sampled_from(paths))),),
        origin=draw(st.sampled_from(["packed", "fetched"])),
        framework=draw(st.none() | st.builds(Framework, TEXT, TEXT, TEXT, st.dictionaries(TEXT, TEXT, max_size=2))),
        signature=draw(st.none() | st.just(SIGNATURE)),
        golden=draw(st.none() | st.sampled_from(paths)),
        baseline=draw(st.none() | st.sampled_from(paths)),
        metadata=draw(METADATA),
    )


@given(manifest_strategy())
def test_what_is_written_is_read_back_and_written_the_same(manifest: Manifest) -> None:
    data = write_manifest(manifest)
    assert parse_manifest(data) == manifest
    assert write_manifest(parse_manifest(data)) == data


def test_every_field_of_a_full_manifest_survives() -> None:
    assert parse_manifest(write_manifest(FULL)) == FULL
    assert write_manifest(FULL).startswith(b'{\n  "schemaVersion": 1,\n  "name": "churn",')


def paths_to_objects(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where the strict objects of a manifest are: all but those whose keys are free."""
    if isinstance(value, list):
        return [found for index, item in enumerate(value) for found in paths_to_objects(item, (*path, index))]
    if not isinstance(value, dict) or path[-1:] in {("metadata",), ("packages",)}:
        return []
    return [path, *(found for key, item in value.items() for found in paths_to_objects(item, (*path, key)))]


DOCUMENT = json.loads(write_manifest(FULL))


def changed(path: tuple[Any, ...], key: Any, value: Any) -> bytes:
    document = json.loads(write_manifest(FULL))
    target = document
    for step in path:
        target = target[step]
    target[key] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize("path", paths_to_objects(DOCUMENT), ids=str)
def test_an_unknown_field_is_refused_at_every_level(path: tuple[Any, ...]) -> None:
    with pytest.raises(ManifestInvalid, match="unknown field 'sise'"):
        parse_manifest(changed(path, "sise", 1))
    assert parse_manifest(changed(path, "x-sise", {"free": [1]})) == FULL


def test_metadata_is_free() -> None:
    found = parse_manifest(changed(("metadata",), "anything", {"at": ["all", None]}))
    assert found.metadata["anything"] == {"at": ["all", None]}


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    below = [found for key, item in items if key != "metadata" for found in leaves(item, (*path, key))]
    return [path, *below] if path else below


@pytest.mark.parametrize("path", leaves(DOCUMENT), ids=str)
def test_a_value_of_the_wrong_type_is_named_by_its_path(path: tuple[Any, ...]) -> None:
    *parents, key = path
    wrong = 5 if isinstance(DOCUMENT[path[0]], str) or not _is_number(path) else "five"
    if path[-2:-1] in {("categories",), ("classes",)} or key in {"default", "example"}:
        wrong = []
    with pytest.raises(ManifestInvalid) as refused:
        parse_manifest(changed(tuple(parents), key, wrong))
    shown = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    assert f"manifest.json{shown}:" in str(refused.value) or "schemaVersion is five" in str(refused.value)


def _is_number(path: tuple[Any, ...]) -> bool:
    value = DOCUMENT
    for step in path:
        value = value[step]
    return isinstance(value, (int, float))


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"name": "../x"}, PathRefused, "^name '../x' is refused"),
        ({"version": ""}, PathRefused, "^version '' is refused"),
        ({"files": [{"path": "/etc/passwd", "size": 1, "sha256": "0" * 64}]}, PathRefused, "absolute"),
        ({"files": [{"path": "manifest.json", "size": 1, "sha256": "0" * 64}]}, PathRefused, "same file"),
        ({"files": [{"path": "Manifest.JSON/a", "size": 1, "sha256": "0" * 64}]}, PathRefused, "a file and a folder"),
        ({"files": [{"path": "a", "size": 1, "sha256": "0" * 63}]}, ManifestInvalid, "64 hex digits"),
        ({"files": [{"path": "a", "size": 1, "sha256": "F" * 64}]}, ManifestInvalid, "64 hex digits"),
        ({"files": [{"path": "a", "size": -1, "sha256": "0" * 64}]}, ManifestInvalid, "size is negative"),
        ({"formats": []}, ManifestInvalid, "at least one"),
        ({"formats": [{"kind": "onnx", "path": "a"}]}, ManifestInvalid, "'a'.* not listed"),
        ({"formats": [{"kind": "onnx", "path": "model.onnx"}] * 2}, ManifestInvalid, "kind is listed twice"),
        ({"golden": "a"}, ManifestInvalid, "'a'.* not listed"),
        ({"golden": ""}, ManifestInvalid, "''.* not listed"),
        ({"baseline": "a"}, ManifestInvalid, "'a'.* not listed"),
        ({"schemaVersion": 2}, ManifestInvalid, "schemaVersion is 2 and this release reads 1: upgrade modelport"),
        ({"schemaVersion": True}, ManifestInvalid, "schemaVersion is True"),
        ({"schemaVersion": 1.0}, ManifestInvalid, r"schemaVersion is 1\.0"),
        ({"schemaVersion": None}, ManifestInvalid, "schemaVersion is None"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(
    changes: dict[str, Any], error: type[ArtifactError], says: str
) -> None:
    entries = [*DOCUMENT["files"], *changes.pop("files", [])]
    with pytest.raises(error, match=says):
        parse_manifest(json.dumps(DOCUMENT | {"files": entries} | changes).encode())


@pytest.mark.parametrize("time", ["2026-01-31T08:30:00Z", "2026-01-31T08:30:00.5+02:00"])
def test_times_are_rfc_3339(time: str) -> None:
    assert parse_manifest(changed((), "created", time)).created == time


@pytest.mark.parametrize(
    "time", ["", "now", "2026-01-31", "2026-01-31T08:30:00", "20260131T083000Z", "2026-02-30T08:30:00Z", "2026-W05-6"]
)
def test_other_times_are_refused(time: str) -> None:
    with pytest.raises(ManifestInvalid, match="created: expected an RFC 3339 time"):
        parse_manifest(changed((), "created", time))


@given(st.binary(max_size=100))
def test_no_bytes_crash_the_parser(data: bytes) -> None:
    with pytest.raises(ManifestInvalid):
        parse_manifest(data)


@given(st.data())
def test_no_damaged_manifest_crashes_the_parser(data: st.DataObject) -> None:
    original = write_manifest(FULL)
    start = data.draw(st.integers(0, len(original)))
    end = data.draw(st.integers(start, min(len(original), start + 20)))
    damaged = original[:start] + data.draw(st.binary(max_size=6)) + original[end:]
    with suppress(ArtifactError):
        assert isinstance(parse_manifest(damaged), Manifest)


def test_size_is_bounded_in_both_directions(monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_manifest(FULL)
    assert manifests.MAX_BYTES == 16 * 1024 * 1024
    monkeypatch.setattr(manifests, "MAX_BYTES", len(data))
    assert parse_manifest(write_manifest(FULL)) == FULL
    monkeypatch.setattr(manifests, "MAX_BYTES", len(data) - 1)
    with pytest.raises(ManifestInvalid, match="larger than"):
        parse_manifest(data)
    with pytest.raises(ManifestInvalid, match=r"would be larger than .* shorten its metadata"):
        write_manifest(FULL)


def test_formats_and_files_are_found_by_name() -> None:
    assert FULL.format("onnx") == FULL.formats[0]
    assert FULL.format("joblib") is None
    assert FULL.file("golden.json") == FULL.files[1]
    with pytest.raises(KeyError):
        FULL.file("other")
