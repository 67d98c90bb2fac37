"""Fit and pack every scikit-learn classifier and regressor, and pipelines; write what was measured to the docs.

python scripts/estimator_table.py                 # all, to docs/estimators.md
python scripts/estimator_table.py Ridge "TF-IDF"  # those whose names contain one of the words, to the terminal
"""

import os
import statistics
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from estimator_cases import Case, cases

from modelport.packing import Packed, PackRefused, pack

DOCUMENT = Path(__file__).parents[1] / "docs" / "estimators.md"
PACKAGES = ("scikit-learn", "skl2onnx", "onnxruntime", "numpy", "pandas")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""For the processes that answer: single-row times are of the model, not of thread pools."""
INTRODUCTION = """\
Each estimator is fitted with its defaults on data that ships inside scikit-learn (meta-estimators around a linear
model; the pipelines over texts on tables made up for them) and packed. ONNX is listed where labels are all equal and
scores are within 1e-5 of the estimator's, measured through the service's own runtime; otherwise the estimator is served
from joblib or skops, and the last column says why. Where it says float64, trees compare in float32 none the less, as
scikit-learn's own do (its boosted histograms apart). Times are medians for one row, in milliseconds, on one thread.
""".splitlines()
GROUPS = {"classifier": "Classifiers", "regressor": "Regressors", "pipeline": "Pipelines"}


@dataclass(frozen=True)
class Line:
    """One estimator measured; `problem` says why it is not served at all."""

    case: Case
    packed: Packed | None
    problem: str = ""

    @property
    def precision(self) -> str | None:
        """Of the ONNX graph, if there is one."""
        found = self.packed and self.packed.manifest.format("onnx")
        return found.precision if found else None

    def milliseconds(self, kind: str) -> float | None:
        """Median time of one row through the service's runtime."""
        proof = (
            next((proof for name, proof in self.packed.proofs.items() if name == kind), None) if self.packed else None
        )
        return proof.single_row_seconds * 1e3 if proof else None

    @property
    def ratio(self) -> float | None:
        """How many times faster a row is through ONNX."""
        onnx, joblib = self.milliseconds("onnx"), self.milliseconds("joblib")
        return joblib / onnx if onnx and joblib else None

    @property
    def remark(self) -> str:
        """Why there is no graph, or the largest error of the one there is."""
        if self.packed is None:
            return self.problem
        found = self.packed.manifest.format("onnx")
        if found and found.parity:
            return f"{found.parity.max_error:.0e}"
        return self.packed.notes[0].partition(": ")[2] if self.packed.notes else ""


def measure(case: Case, destination: Path) -> Line:
    """Fit and pack one case; what it cannot do becomes its line's problem."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # defaults do not converge on every data set, which is no matter here
        try:
            estimator, (rows, target) = case.make()
            estimator.fit(rows, target)
            return Line(case, pack(estimator, rows, name="case", destination=destination, force=True))
        except PackRefused as error:
            return Line(case, None, str(error))
        except Exception as error:
            return Line(case, None, f"{type(error).__name__}: {error}")


def render(lines: list[Line]) -> Iterator[str]:
    """The document, line by line."""
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    yield "# Estimators"
    yield ""
    yield f"Made by `python scripts/estimator_table.py` with {versions}."
    yield ""
    yield from INTRODUCTION
    for group, title in GROUPS.items():
        yield from (
            "",
            f"## {title}",
            "",
            "| estimator | ONNX | joblib ms | ONNX ms | ratio | largest error, or why not |",
        )
        yield "|---|---|---:|---:|---:|---|"
        yield from (row(line) for line in lines if line.case.group == group)
    yield from ("", totals(lines))


def row(line: Line) -> str:
    """One row of the table."""
    cells = [
        line.case.name,
        line.precision or "no",
        *(_number(line.milliseconds(kind), "{:.3f}") for kind in ("joblib", "onnx")),
        _number(line.ratio, "{:.0f}x"),
        line.remark.replace("|", "\\|").replace("\n", " ")[:140],
    ]
    return f"| {' | '.join(cells)} |"


def totals(lines: list[Line]) -> str:
    """How many, and how much faster."""
    compiled = [line for line in lines if line.precision]
    served = sum(line.packed is not None for line in lines)
    ratios = [line.ratio for line in lines if line.ratio]
    median = f"; the median row is {statistics.median(ratios):.0f}x faster" if ratios else ""
    return f"{len(lines)} estimators: {served} served, {len(compiled)} of them as ONNX{median}."


def _number(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)


def main() -> None:
    """Measure the cases that were asked for; the whole table goes to the docs."""
    os.environ.update(ONE_THREAD)
    words = sys.argv[1:]
    chosen = [case for case in cases() if not words or any(word.lower() in case.name.lower() for word in words)]
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for index, case in enumerate(chosen, 1):
            line = measure(case, Path(folder))
            print(f"[{index}/{len(chosen)}] {row(line)}", flush=True)
            lines.append(line)
    if not words:
        DOCUMENT.write_text("\n".join(render(lines)) + "\n", encoding="utf-8")
        print(f"written to {DOCUMENT}")
    print(totals(lines))


if __name__ == "__main__":
    main()
