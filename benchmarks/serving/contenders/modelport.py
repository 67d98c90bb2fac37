"""Ours, as it runs in production: a packed bundle behind `start-server`, with logs, metrics and traces on."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.serving.contender import Ask, Contender, Launch, Row, Site, json_bytes
from benchmarks.serving.subjects import LABELS

MAX_ROWS = 10_000
QUEUE_ROWS = 32 * 512
"""What may wait: every connection's largest request, so that the curve over rows sheds nothing."""


def environment(site: Site, root: Path) -> dict[str, str]:
    """The settings of every measured start: 1 % of traces to a collector, the limits of rows raised."""
    return {
        "MODELPORT_MODEL_ROOT": str(root),
        "MODELPORT_API_PORT": str(site.port),
        "MODELPORT_WORKERS": str(site.workers),
        "MODELPORT_MAX_BATCH_ROWS": str(MAX_ROWS),
        "MODELPORT_QUEUE_MAX_ROWS": str(QUEUE_ROWS),
        "MODELPORT_ALLOW_PICKLE": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": site.collector,
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.01",
    }


def _serve(form: str) -> Callable[[Site], Launch]:
    def launch(site: Site) -> Launch:
        return Launch([str(site.python.parent / "start-server")], environment(site, site.subject.roots[form]))

    return launch


def ask(_: str, rows: Sequence[Row]) -> Ask:
    """`/predict` for one row, `/predict/batch` for more."""
    if len(rows) == 1:
        return Ask("/predict", json_bytes({"features": rows[0]}))
    return Ask("/predict/batch", json_bytes({"requests": [{"features": row} for row in rows]}))


def read(answer: Any) -> list[list[float]]:
    """Scores in the order of the classes."""
    answers = answer.get("predictions", [answer])
    return [[one["probabilities"][label] for label in LABELS.values()] for one in answers]


ABOUT = "start-server: gunicorn + uvicorn worker, range checks, access lines, metrics, 1 % of traces"
ONNX = Contender("modelport-onnx", ABOUT, _serve("onnx"), ask, read)
SKLEARN = Contender("modelport-sklearn", f"{ABOUT}; the scikit-learn runtime", _serve("joblib"), ask, read)
