"""`scripts/setup_env.sh`: which tool it takes, what it leaves alone. Stand-ins for the tools write down their calls."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "setup_env.sh", tmp_path / "scripts")
    shutil.copy(ROOT / ".env.example", tmp_path)
    (tmp_path / "bin").mkdir()
    for needed in ("cat", "cp", "dirname"):
        (tmp_path / "bin" / needed).symlink_to(str(shutil.which(needed)))
    return tmp_path


def provide(project: Path, *tools: str) -> None:
    for tool in tools:
        path = project / "bin" / tool
        path.write_text(f'#!/bin/sh\necho "{tool} $*" >> "{project}/calls"\n')
        path.chmod(0o755)


def setup(project: Path, *arguments: str, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{project}/bin", "PYTHON": python, "HOME": str(project)}
    command = [str(shutil.which("bash")), str(project / "scripts" / "setup_env.sh"), *arguments]
    return subprocess.run(command, env=environment, cwd=os.sep, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("present", "taken"), [(["uv", "poetry", "pdm"], "uv"), (["poetry", "pdm"], "poetry"), (["pdm"], "pdm")]
)
def test_the_first_tool_that_is_there_installs(project: Path, present: list[str], taken: str) -> None:
    provide(project, *present)
    done = setup(project)
    assert done.returncode == 0, done.stderr
    assert {line.split()[0] for line in (project / "calls").read_text().splitlines()} == {taken}
    assert f"{taken} run" in done.stdout
    assert "modelport serve models" in done.stdout


def test_with_names_the_tool(project: Path) -> None:
    provide(project, "uv", "pdm")
    assert setup(project, "--with", "pdm").returncode == 0
    assert "pdm install --prod" in (project / "calls").read_text()


def test_pip_installs_into_an_environment_that_is_there(project: Path) -> None:
    (project / ".venv" / "bin").mkdir(parents=True)
    provide(project, "python")
    (project / "bin" / "python").rename(project / ".venv" / "bin" / "python")
    done = setup(project)
    assert (project / "calls").read_text() == "python -m pip install --editable .\n"
    assert "  .venv/bin/modelport serve models" in done.stdout


def test_env_is_made_once_and_never_overwritten(project: Path) -> None:
    provide(project, "uv")
    setup(project)
    assert (project / ".env").read_bytes() == (ROOT / ".env.example").read_bytes()
    (project / ".env").write_text("MODELPORT_API_PORT=9000\n")
    assert "stays as it is" in setup(project).stdout
    assert (project / ".env").read_text() == "MODELPORT_API_PORT=9000\n"


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--with"], 2, "--with needs one of uv, poetry, pdm, pip"),
        (["--with", "conda"], 2, "--with conda: expected uv, poetry, pdm or pip"),
        (["--with", "pdm"], 1, "pdm is not installed"),
        (["--fast"], 2, "--fast is not an option"),
    ],
)
def test_what_cannot_be_done_is_told(project: Path, arguments: list[str], code: int, sentence: str) -> None:
    done = setup(project, *arguments)
    assert done.returncode == code
    assert sentence in done.stderr
    assert not (project / ".env").exists()


def test_an_old_python_is_refused(project: Path) -> None:
    old = project / "bin" / "old-python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    provide(project, "uv")
    done = setup(project, python=str(old))
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed" in done.stderr
    assert not (project / "calls").exists()


def test_help_says_what_it_does(project: Path) -> None:
    done = setup(project, "--help")
    assert done.returncode == 0
    assert "--with uv|poetry|pdm|pip" in done.stdout
