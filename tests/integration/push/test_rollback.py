"""Two versions go up; the list shows them, and each can be had again by version and by digest."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


def modelport(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, for it starts others."""
    command = [sys.executable, "-m", "modelport", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def two(place, make, run):
    """Versions 9 and 10, so that numbers must compare as numbers."""
    made = {version: make(version, model=version.encode()) for version in ("9", "10")}
    for each in made.values():
        assert run("push", each.path, place.uri).exit_code == 0
    return made


def test_versions_are_listed_and_the_newest_is_marked(place, two):
    lines = modelport("versions", f"{place.uri}/churn").stdout.splitlines()
    assert lines[2].startswith("9 ")
    assert two["9"].digest in lines[2]
    assert lines[3].startswith("10 (newest) ")
    assert two["10"].digest in lines[3]
    assert lines[-1] == f"back to 9: modelport fetch {place.uri}/churn/9 DEST --digest {two['9'].digest}"


def test_versions_for_programs(place, two):
    listed = json.loads(modelport("versions", f"{place.uri}/churn", "--json").stdout)
    assert [(row["version"], row["digest"], row["size"], row["formats"], row["newest"]) for row in listed] == [
        ("9", two["9"].digest, 8, ["joblib"], False),
        ("10", two["10"].digest, 9, ["joblib"], True),
    ]


def test_newest_then_back_by_version_then_by_digest(place, two, tmp_path: Path):
    root = tmp_path / "fetched"
    took = {}
    for name, arguments in {
        "newest": (f"{place.uri}/churn",),
        "version": (f"{place.uri}/churn", "--version", "9"),
        "uri": (f"{place.uri}/churn/9",),
        "digest": (f"{place.uri}/churn/9", "--digest", two["9"].digest),
    }.items():
        done = modelport("fetch", arguments[0], root / name, *arguments[1:])
        assert done.returncode == 0, done.stderr
        took[name] = [path.read_bytes() for path in (root / name).glob("churn/*/model.joblib")]
    assert took == {"newest": [b"10"], "version": [b"9"], "uri": [b"9"], "digest": [b"9"]}


def test_a_digest_never_gets_another_version(place, two, tmp_path: Path):
    done = modelport("fetch", f"{place.uri}/churn/10", tmp_path / "fetched", "--digest", two["9"].digest)
    assert done.returncode == 14
    assert not list(tmp_path.glob("fetched/churn/*"))


def test_what_was_interrupted_is_no_version(place, two, make):
    place.put("churn/11/model.joblib", b"half")
    listed = json.loads(modelport("versions", f"{place.uri}/churn", "--json").stdout)
    assert [row["version"] for row in listed] == ["9", "10"]


def test_where_there_is_none(place):
    done = modelport("versions", f"{place.uri}/nothing")
    assert done.returncode == 11
    assert done.stdout == ""
    assert f"{place.uri.removeprefix('file://')}/nothing" in done.stderr
