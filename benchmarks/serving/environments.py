"""The pinned packages of every contender, each in a virtual environment of its own, made once and kept in the cache.

scikit-learn is the harness's own version everywhere, because everyone unpickles the same estimator.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks.serving import progress
from benchmarks.serving.errors import MissingTool

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modelport" / "bench"

PINNED: Mapping[str, Sequence[str]] = {
    "tutorial": ("fastapi==0.165.0", "gunicorn==27.0.1", "uvicorn[standard]==0.54.0", "uvicorn-worker==0.4.0"),
    "mlserver": ("mlserver==1.7.1", "mlserver-sklearn==1.7.1", "uvloop==0.21.0"),  # its workers end under 0.22
    "kserve": ("kserve==0.21.0",),
    "litserve": ("litserve==0.2.19",),
    "bentoml": ("bentoml==1.4.39",),  # 1.4.40 asks for a certifi that is not published
}


def python_of(name: str | None) -> Path:
    """The interpreter of an environment, which is made first when it is missing or was made for other pins.

    Raises:
        MissingTool: the packages cannot be installed.
    """
    if name is None:
        return Path(sys.executable)
    home = CACHE / name
    wanted = "\n".join((*PINNED[name], f"scikit-learn=={version('scikit-learn')}", f"joblib=={version('joblib')}"))
    stamp = home / "pinned.txt"
    if not stamp.is_file() or stamp.read_text() != wanted:
        progress.say(f"making the environment of {name} in {home} (a minute the first time)")
        _make(home, wanted.splitlines())
        stamp.write_text(wanted)
    return home / "bin" / "python"


def _make(home: Path, packages: Sequence[str]) -> None:
    shutil.rmtree(home, ignore_errors=True)
    uv = str(Path(sys.executable).with_name("uv"))
    commands = (
        [uv, "venv", "--quiet", "--python", sys.executable, str(home)],
        [uv, "pip", "install", "--quiet", "--python", str(home / "bin" / "python"), *packages],
    )
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - pinned names only
        if done.returncode:
            raise MissingTool(f"{' '.join(command)} failed: {done.stderr.strip()[-1500:]}")
