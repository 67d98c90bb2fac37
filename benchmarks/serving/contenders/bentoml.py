"""BentoML with adaptive batching, see `apps/bentoml_service.py`."""

from collections.abc import Sequence
from typing import Any

from benchmarks.serving.contender import APPS, Ask, Contender, Launch, Row, Site, json_bytes


def _launch(site: Site) -> Launch:
    command = [
        str(site.python.parent / "bentoml"), "serve", "bentoml_service:Estimator", "--working-dir", str(APPS),
        "--host", "127.0.0.1", "--port", str(site.port),
    ]  # fmt: skip
    environment = {
        "MODEL": str(site.subject.joblib),
        "WORKERS": str(site.workers),
        "BENTOML_HOME": str(site.folder / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "True",
    }
    return Launch(command, environment)


def _ask(_: str, rows: Sequence[Row]) -> Ask:
    return Ask("/predict", json_bytes({"rows": list(rows)}))


def _read(answer: Any) -> list[list[float]]:
    scores: list[list[float]] = answer
    return scores


CONTENDER = Contender("bentoml", "service with adaptive batching", _launch, _ask, _read, "bentoml", peer=True)
