import unicodedata
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from model_artifact.errors import PathRefused
from model_artifact.paths import check_name, refuse_collisions, safe_join, safe_relative, version_key

HOSTILE_PARTS = st.sampled_from(
    ["", ".", "..", "/", "//", "\\", "C:", "a", "b.onnx", "\0", "\n", "~", "\u202e", "\ud800", "e\u0301", " ", "..."]
)
HOSTILE_PATHS = st.lists(HOSTILE_PARTS | st.text(max_size=4), max_size=6).flatmap(
    lambda parts: st.sampled_from(["".join(parts), "/".join(parts)])
)
IDENTIFIERS = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", fullmatch=True).filter(
    lambda name: ".." not in name
)


@given(path=HOSTILE_PATHS)
@example(path="../x")
@example(path="a/../../x")
@example(path="/etc/passwd")
def test_an_accepted_path_is_one_file_below_the_root(path: str) -> None:
    with TemporaryDirectory() as outside:
        root = Path(outside, "root").resolve()
        root.mkdir()
        try:
            target = safe_join(root, path)
        except PathRefused:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"")
        files = [found for found in Path(outside).resolve().rglob("*") if found.is_file()]
        assert [found.relative_to(root).as_posix() for found in files] == [path]


@pytest.mark.parametrize(
    "path",
    ["model.onnx", "a/b/c.json", ".hidden", "modèle.onnx", "データ/モデル.onnx", "a b", "a" * 255, "a/" * 511 + "ab"],
)
def test_plain_relative_paths_are_taken(path: str) -> None:
    assert safe_relative(path) == path


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("", "empty"),
        ("/etc/passwd", "absolute"),
        ("..", "segment"),
        ("a/../b", "segment"),
        ("./a", "segment"),
        ("a//b", "segment"),
        ("a/", "segment"),
        ("..\\..\\a", "backslash"),
        ("C:/a", "colon"),
        ("c:a", "colon"),
        ("model.onnx:stream", "colon"),
        ("a\0b", "control"),
        ("a\nb", "control"),
        ("a\x7fb", "control"),
        ("a\x9bb", "control"),
        ("a\u202eb", "control"),
        ("a\u200bb", "control"),
        ("a\u2028b", "control"),
        ("a\ud800b", "control"),
        ("e\u0301.onnx", "normal form"),
        ("\u212b.onnx", "normal form"),
        ("a.", "dot or a space"),
        ("a /b", "dot or a space"),
        (".../a", "dot or a space"),
        ("a" * 256, "255 bytes"),
        ("é" * 128, "255 bytes"),
        ("a/" * 512 + "a", "1024 bytes"),
        ("é/" * 400 + "a", "1024 bytes"),
    ],
)
def test_a_refusal_says_why(path: str, why: str) -> None:
    with pytest.raises(PathRefused, match=why) as refused:
        safe_relative(path)
    assert len(str(refused.value)) < 600
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_link_at_any_level_is_refused(tmp_path: Path, depth: int) -> None:
    segments = ["a", "b", "c"]
    parent = tmp_path.joinpath(*segments[:depth])
    parent.mkdir(parents=True, exist_ok=True)
    (parent / segments[depth]).symlink_to(tmp_path.parent)
    with pytest.raises(PathRefused, match=f"'{segments[depth]}' is a symbolic link"):
        safe_join(tmp_path, "a/b/c")


def test_a_dangling_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").symlink_to("nowhere")
    with pytest.raises(PathRefused):
        safe_join(tmp_path, "model.onnx")


@pytest.mark.parametrize(
    ("paths", "why"),
    [
        (["a", "a"], "same file"),
        (["Model.onnx", "model.onnx"], "same file"),
        (["straße", "STRASSE"], "same file"),
        (["İ", "i̇"], "same file"),
        (["a", "a/b"], "a file and a folder"),
        (["A/b/c", "a/B"], "a file and a folder"),
    ],
)
def test_collisions_are_refused_in_any_order(paths: list[str], why: str) -> None:
    for order in (paths, paths[::-1]):
        with pytest.raises(PathRefused, match=why):
            refuse_collisions(order)


def test_neighbours_do_not_collide() -> None:
    refuse_collisions(["a", "ab", "a.b", "b/a", "b/b", "c/a/a"])


@given(st.text(min_size=1, max_size=6))
def test_every_spelling_of_a_name_collides_with_it(name: str) -> None:
    composed = unicodedata.normalize("NFC", name)
    for other in (composed.upper(), composed.lower(), composed.casefold()):
        with pytest.raises(PathRefused):
            refuse_collisions([composed.lower(), unicodedata.normalize("NFC", other).lower()])


@given(IDENTIFIERS)
def test_a_good_name_is_one_safe_segment(name: str) -> None:
    assert check_name(name) == safe_relative(name) == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a..b", "-a", "a-", ".a", "a.", "_a", "a/b", "a b", "a\n", "é", "\uff11", "a" * 64, "a\\b", "a:b"],
)
def test_a_bad_name_or_version_is_refused(name: str) -> None:
    with pytest.raises(PathRefused, match=r"^version .* is refused"):
        check_name(name, "version")


def test_numbers_in_versions_compare_as_numbers() -> None:
    ordered = ["v1", "v1.9", "v1.10", "v2", "1", "2", "9", "10", "10.1", "10.9", "10.10"]
    backwards = ordered[::-1]
    assert sorted(backwards, key=version_key) == ordered


@given(st.lists(IDENTIFIERS | st.text(max_size=5), unique=True, max_size=8).flatmap(st.permutations))
@example(["1", "01", "001"])
@example(["²", "2"])
def test_the_order_of_versions_does_not_depend_on_where_they_started(versions: list[str]) -> None:
    backwards = versions[::-1]
    assert sorted(versions, key=version_key) == sorted(backwards, key=version_key)


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.sampled_from(["", "v", "release-"]))
def test_plain_numbers_sort_as_integers(left: int, right: int, prefix: str) -> None:
    keys = version_key(f"{prefix}{left}"), version_key(f"{prefix}{right}")
    assert (keys[0] < keys[1]) == (left < right)
