"""What makes a release one: versions that agree, licences that are allowed, workflows whose targets exist."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.chart import REPO

RELEASE = REPO / "scripts" / "release"
MAKEFILE = (REPO / "Makefile").read_text()
WORKFLOWS = sorted((REPO / ".github" / "workflows").glob("*.yml"))
NEEDED = (
    "pyproject.toml", "CHANGELOG.md", "artifact/model_artifact/__init__.py", "charts/model-service/Chart.yaml",
    "charts/model-operator/Chart.yaml", "scripts/release.sh", "scripts/cluster/lib.sh", "scripts/cluster/versions.env",
)  # fmt: skip


def run(*command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, env=environment or None)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A committed copy of what says which version this is."""
    for name in NEEDED:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPO / name, tmp_path / name)
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    for command in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "--message=all")):
        assert run("git", *identity, *command, cwd=tmp_path).returncode == 0
    return tmp_path


def check(tree: Path) -> subprocess.CompletedProcess[str]:
    return run("bash", "scripts/release.sh", "--check", cwd=tree)


def test_a_clean_tree_whose_versions_agree_can_be_released(tree: Path) -> None:
    result = check(tree)
    assert (result.returncode, result.stderr) == (0, "")
    assert "can be released" in result.stdout


@pytest.mark.parametrize(
    ("name", "found", "instead", "sentence"),
    [
        (
            "artifact/model_artifact/__init__.py",
            '__version__ = "',
            '__version__ = "9',
            "model_artifact.__version__ is not",
        ),
        ("charts/model-service/Chart.yaml", 'appVersion: "', 'appVersion: "9', "appVersion is not"),
        ("charts/model-service/Chart.yaml", "\nversion: ", "\nversion: 9", "Chart.yaml: version is not"),
        (
            "charts/model-operator/Chart.yaml",
            "\nversion: ",
            "\nversion: 9",
            "model-operator/Chart.yaml: version is not",
        ),
        ("CHANGELOG.md", "\n## [0", "\n## [9", "CHANGELOG.md has no section"),
        ("LICENSE", "", "text", "working tree has changes"),
    ],
)
def test_what_is_no_release_is_refused_with_a_sentence(
    tree: Path, name: str, found: str, instead: str, sentence: str
) -> None:
    path = tree / name
    path.write_text(path.read_text().replace(found, instead) if path.exists() else instead)
    result = check(tree)
    assert result.returncode == 1
    assert sentence in result.stderr


def test_every_licence_in_the_images_is_allowed() -> None:
    result = run(sys.executable, str(RELEASE / "licences.py"), cwd=REPO)
    assert result.returncode == 0, result.stdout
    assert re.search(r"^\d+ packages, \d+ licences, 0 refused$", result.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("licence", "refused"),
    [
        ("MIT", set()),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", set()),
        ("Mozilla Public License 2.0 (MPL 2.0)", set()),
        ("MIT OR GPL-3.0-only", {"GPL-3.0-only"}),
        ("Business Source License 1.1", {"Business Source License 1.1"}),
    ],
)
def test_licences_are_read_part_by_part(licence: str, refused: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(RELEASE))
    import licences  # noqa: PLC0415 - scripts are no package
    import lock  # noqa: PLC0415

    assert licences.named(lock.Package("some", "1", licence)) - licences.ALLOWED == refused


def steps(workflow: Path) -> list[Any]:
    jobs = yaml.safe_load(workflow.read_text())["jobs"].values()
    return [step for job in jobs for step in job["steps"]]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_run_targets_that_exist(workflow: Path) -> None:
    text = workflow.read_text()
    matrix = re.search(r"target: \[(.*)\]", text)
    named = set(matrix[1].split(", ")) if matrix else set()
    for step in steps(workflow):
        for line in re.findall(r"^make ([^$\n]+)$", step.get("run", ""), re.MULTILINE):
            named |= {word for word in line.split() if "=" not in word}
    assert named
    assert {name for name in named if not re.search(rf"^{re.escape(name)}:", MAKEFILE, re.MULTILINE)} == set()


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_ask_for_the_rights_they_need_and_say_so(workflow: Path) -> None:
    document = yaml.safe_load(workflow.read_text())
    assert document["permissions"]["contents"] == ("write" if workflow.stem == "release" else "read")
    assert all("@" in step["uses"] for step in steps(workflow) if "uses" in step)
