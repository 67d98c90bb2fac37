"""LitServe with batching, see `apps/litserve_server.py`."""

from collections.abc import Sequence
from typing import Any

from benchmarks.serving.contender import APPS, Ask, Contender, Launch, Row, Site, json_bytes

BATCH_REQUESTS = 32
BATCH_SECONDS = 0.0


def _launch(site: Site) -> Launch:
    environment = {
        "MODEL": str(site.subject.joblib),
        "PORT": str(site.port),
        "WORKERS": str(site.workers),
        "BATCH_REQUESTS": str(BATCH_REQUESTS),
        "BATCH_SECONDS": str(BATCH_SECONDS),
    }
    return Launch([str(site.python), str(APPS / "litserve_server.py")], environment)


def _ask(_: str, rows: Sequence[Row]) -> Ask:
    return Ask("/predict", json_bytes({"rows": list(rows)}))


def _read(answer: Any) -> list[list[float]]:
    scores: list[list[float]] = answer["probabilities"]
    return scores


CONTENDER = Contender("litserve", "LitAPI with batching", _launch, _ask, _read, "litserve", peer=True)
