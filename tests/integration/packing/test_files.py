"""Packing from files, and to the same bytes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
from sklearn import datasets
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modelport.packing import pack_file

CANCER = datasets.load_breast_cancer(as_frame=True)
SCALED = make_pipeline(StandardScaler(), LogisticRegression()).fit(CANCER.data, CANCER.target)


def test_files_pack_as_objects_do_and_in_every_process_the_same(tmp_path: Path, people: Any, fit_people: Any) -> None:
    joblib.dump(fit_people(LogisticRegression()), tmp_path / "model.joblib")
    people.assign(target=0).to_csv(tmp_path / "sample.csv", index=False)
    code = (
        "import sys, pathlib; from modelport.packing import pack_file; folder = pathlib.Path(sys.argv[1]);"
        "print(pack_file(folder / 'model.joblib', folder / 'sample.csv', name='m', destination=folder / sys.argv[2],"
        "formats=['onnx', 'joblib']).digest)"
    )
    digests = [
        subprocess.run(
            [sys.executable, "-W", "error", "-c", code, str(tmp_path), place],
            env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000", "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for place, seed in (("a", "1"), ("b", "2"))
    ]
    assert digests[0] == digests[1]
    manifest = json.loads((tmp_path / "a" / "m" / "1" / "manifest.json").read_text())
    assert manifest["created"] == "2023-11-14T22:13:20Z"
    for path in (tmp_path / "a" / "m" / "1").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / "m" / "1" / path.name).read_bytes()


def test_pack_file_packs_here_too(tmp_path: Path) -> None:
    joblib.dump(SCALED, tmp_path / "model.joblib")
    CANCER.data.to_csv(tmp_path / "sample.csv", index=False)
    options: dict[str, Any] = {"name": "m", "destination": tmp_path, "formats": ["onnx"]}
    assert pack_file(tmp_path / "model.joblib", tmp_path / "sample.csv", **options).path == tmp_path / "m" / "1"
