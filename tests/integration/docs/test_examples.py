"""The examples, run as the programs that they are."""

import csv
import re
import subprocess
import sys
from pathlib import Path

from model_artifact.bundle import verify

EXAMPLES = Path(__file__).parents[3] / "examples"


def run(folder: Path, name: str, *arguments: str) -> str:
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_iris_packs_a_bundle_and_says_where(tmp_path: Path) -> None:
    printed = run(tmp_path, "iris.py", "packed")
    bundle = verify(tmp_path / "packed" / "iris" / "1")
    assert bundle.digest in printed
    assert bundle.manifest.format("onnx") is not None
    assert bundle.manifest.signature is not None
    assert bundle.manifest.signature.labels == ("setosa", "versicolor", "virginica")


def test_sentiment_answers_what_it_is_asked(tmp_path: Path) -> None:
    printed = run(tmp_path, "sentiment/train.py", "packed").splitlines()
    assert verify(tmp_path / "packed" / "sentiment" / "1").manifest.format("onnx") is not None
    assert [line.split()[0] for line in printed[-2:]] == ["positive", "negative"]


def test_the_sentences_are_few_distinct_and_balanced() -> None:
    with (EXAMPLES / "sentiment" / "reviews.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len({row["text"] for row in rows}) == len(rows) == 120
    assert sum(row["label"] == "positive" for row in rows) == 60
    assert "written for this example" in (EXAMPLES / "sentiment" / "README.md").read_text(encoding="utf-8")


def test_the_notebook_packs_serves_asks_and_stops(tmp_path: Path) -> None:
    printed = run(tmp_path, "notebook.py")
    agreed = re.search(r"(\d+) of (\d+) answers are the estimator's own", printed)
    assert agreed is not None
    assert agreed[1] == agreed[2] == "45"
    assert printed.splitlines()[-1] == "server ended with exit code 0"
    assert list(tmp_path.iterdir()) == []
