"""The installed `modelport` command against real models, and services that it started."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from modelport import Client

MODELPORT = str(Path(sys.executable).with_name("modelport"))
READY_SECONDS = 300


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    command = [MODELPORT, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, env=os.environ | environment, timeout=600, check=False
    )


class Serving:
    """A `modelport serve` under way."""

    def __init__(self, port: int, folder: Path, arguments: tuple[object, ...], environment: dict[str, str]) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._log = folder / "serve.log"
        command = [MODELPORT, "serve", *map(str, arguments), "--port", str(port)]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(command, stderr=log, env=os.environ | environment)

    @property
    def log(self) -> str:
        return self._log.read_text()

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(120)


@pytest.fixture
def serving(tmp_path: Path, free_port: Callable[[], int]) -> Callable[..., Any]:
    @contextmanager
    def start(*arguments: object, **environment: str) -> Iterator[tuple[Client, Serving]]:
        under_way = Serving(free_port(), tmp_path, arguments, environment | {"TMPDIR": str(tmp_path)})
        try:
            with Client(under_way.url, timeout=60) as client:
                client.wait_until_ready(READY_SECONDS)
                yield client, under_way
        finally:
            if under_way.process.poll() is None:
                under_way.end()

    return start


@pytest.fixture
def modelport() -> Callable[..., subprocess.CompletedProcess[str]]:
    return run


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every test starts without settings of its own."""
    for name in [name for name in os.environ if name.startswith("MODELPORT_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def iris() -> tuple[pd.DataFrame, LogisticRegression]:
    features, target = load_iris(return_X_y=True, as_frame=True)
    return features, LogisticRegression(max_iter=500).fit(features, target)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory, iris: tuple[pd.DataFrame, LogisticRegression]) -> Path:
    """`iris.joblib` and `iris.csv`."""
    folder = tmp_path_factory.mktemp("files")
    features, model = iris
    joblib.dump(model, folder / "iris.joblib")
    features.to_csv(folder / "iris.csv", index=False)
    return folder


@pytest.fixture(scope="session")
def packing(tmp_path_factory: pytest.TempPathFactory, files: Path) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A model root, and what packing into it said."""
    root = tmp_path_factory.mktemp("models")
    labels = ["--label", "0=setosa", "--label", "1=versicolor", "--label", "2=virginica"]
    arguments = [files / "iris.joblib", "--sample", files / "iris.csv", "--name", "iris", "--version", "7", "-o", root]
    return root, run("pack", *arguments, *labels, "--metadata", "author=ada")
