"""FastAPI and joblib as in tutorials, see `apps/tutorial.py`, under gunicorn with uvicorn workers."""

from collections.abc import Sequence
from typing import Any

from benchmarks.serving.contender import APPS, Ask, Contender, Launch, Row, Site, json_bytes


def _launch(site: Site) -> Launch:
    command = [
        str(site.python), "-m", "gunicorn", "--chdir", str(APPS), "tutorial:app", "--bind", f"127.0.0.1:{site.port}",
        "--workers", str(site.workers), "--worker-class", "uvicorn_worker.UvicornWorker",
    ]  # fmt: skip
    return Launch(command, {"MODEL": str(site.subject.joblib)})


def _ask(_: str, rows: Sequence[Row]) -> Ask:
    return Ask("/predict", json_bytes({"features": list(rows)}))


def _read(answer: Any) -> list[list[float]]:
    scores: list[list[float]] = answer["probabilities"]
    return scores


CONTENDER = Contender(
    "tutorial", "FastAPI + pydantic + joblib, gunicorn with a uvicorn worker", _launch, _ask, _read, "tutorial"
)
