"""The limit: bare uvicorn, see `apps/limit.py`."""

from collections.abc import Sequence

from benchmarks.serving.contender import APPS, Ask, Contender, Launch, Row, Site, json_bytes
from benchmarks.serving.contenders import modelport
from benchmarks.serving.subjects import LABELS, Subject

ROWS = (1, 8, 64, 512)


def _answer(subject: Subject, row: int) -> dict[str, object]:
    """What Modelport answers for a row, to the byte but for the digits of the score."""
    scores = subject.expected[row].tolist()
    best = scores.index(max(scores))
    return {
        "prediction": best,
        "prediction_class": LABELS[best],
        "probability": scores[best],
        "probabilities": dict(zip(LABELS.values(), scores, strict=True)),
        "model_name": subject.name,
        "model_version": "1",
        "prediction_id": "06a85dfb-fe4b-4ae9-aa23-490da261200f",
        "timestamp": "2026-01-01T00:00:00.000Z",
    }


def _answers(subject: Subject) -> dict[str, str]:
    answers = {"/predict": json_bytes(_answer(subject, 0)).decode()}
    for count in ROWS[1:]:
        predictions = [_answer(subject, row) for row in subject.take(0, count)]
        batch = {"predictions": predictions, "batch_size": count, "processing_time": 0.0001234}
        answers[f"/predict/batch/{count}"] = json_bytes(batch).decode()
    return answers


def _launch(site: Site) -> Launch:
    answers = site.folder / "answers.json"
    answers.write_bytes(json_bytes(_answers(site.subject)))
    command = [
        str(site.python), "-m", "uvicorn", "--app-dir", str(APPS), "limit:app", "--port", str(site.port),
        "--workers", str(site.workers), "--loop", "uvloop", "--http", "httptools", "--no-access-log",
        "--no-server-header", "--log-level", "warning", "--lifespan", "off",
    ]  # fmt: skip
    return Launch(command, {"LIMIT_ANSWERS": str(answers)})


def _ask(name: str, rows: Sequence[Row]) -> Ask:
    same = modelport.ask(name, rows)
    return same if len(rows) == 1 else Ask(f"{same.path}/{len(rows)}", same.body)


CONTENDER = Contender(
    "limit", "bare uvicorn, uvloop, httptools: parse the JSON, answer a constant", _launch, _ask, None
)
