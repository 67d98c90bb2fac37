"""The pinned packages of the others, each in a virtual environment of its own, made once and kept in the cache."""

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.serving import progress
from benchmarks.serving.environments import CACHE
from benchmarks.serving.errors import MissingTool

PINNED: Mapping[str, Sequence[str]] = {
    "kserve-storage": ("kserve-storage==0.21.0",),
    "vendors": ("boto3==1.44.5", "google-cloud-storage==3.17.1"),
}


def python_of(name: str | None) -> Path:
    """The interpreter of an environment, which is made first when it is missing or was made for other pins.

    Raises:
        MissingTool: the packages cannot be installed.
    """
    if name is None:
        return Path(sys.executable)
    home = CACHE / name
    stamp, wanted = home / "pinned.txt", "\n".join(PINNED[name])
    if not stamp.is_file() or stamp.read_text() != wanted:
        progress.say(f"making the environment of {name} in {home} (a minute the first time)")
        shutil.rmtree(home, ignore_errors=True)
        uv = str(Path(sys.executable).with_name("uv"))
        _run(uv, "venv", "--quiet", "--python", sys.executable, str(home))
        _run(uv, "pip", "install", "--quiet", "--python", str(home / "bin" / "python"), *PINNED[name])
        stamp.write_text(wanted)
    return home / "bin" / "python"


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - pinned names only
    if done.returncode:
        raise MissingTool(f"{' '.join(command)} failed: {done.stderr.strip()[-1500:]}")
