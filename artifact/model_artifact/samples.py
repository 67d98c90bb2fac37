"""`golden.json` and `baseline.json`: inputs with known answers, and what the training sample looked like."""

from dataclasses import dataclass, field
from typing import Any

from model_artifact import strict
from model_artifact.errors import ManifestInvalid


@dataclass(frozen=True)
class Answer:
    """What the estimator said for one row: `prediction` is its own value, `probabilities` in the order of classes."""

    prediction: Any
    probabilities: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Golden:
    """Rows in the signature's order with the estimator's answers; scores may differ by `tolerance` at most."""

    inputs: tuple[Any, ...]
    outputs: tuple[Answer, ...]
    tolerance: float = 1e-5

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.outputs):
            raise ManifestInvalid(f"{len(self.inputs)} inputs but {len(self.outputs)} outputs")


@dataclass(frozen=True)
class Histogram:
    """Counts between `edges` (one more edge than counts)."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.edges) != len(self.counts) + 1:
            raise ManifestInvalid(f"{len(self.counts)} counts need one edge more, not {len(self.edges)} edges")


@dataclass(frozen=True)
class Distribution:
    """One feature or output over the sample: numbers have moments and a histogram, others category counts."""

    count: int
    missing: int = 0
    mean: float | None = None
    std: float | None = None
    histogram: Histogram | None = None
    categories: dict[str, int] | None = None


@dataclass(frozen=True)
class Baseline:
    """Distributions by feature name, and by output: `prediction`, and `probability:<label>` where there are any."""

    features: dict[str, Distribution] = field(default_factory=dict)
    predictions: dict[str, Distribution] = field(default_factory=dict)


def parse_golden(data: bytes) -> Golden:
    """Read golden.json. Raises ManifestInvalid."""
    return strict.read(Golden, strict.loads(data, "golden.json"), "golden.json")


def parse_baseline(data: bytes) -> Baseline:
    """Read baseline.json. Raises ManifestInvalid."""
    return strict.read(Baseline, strict.loads(data, "baseline.json"), "baseline.json")
