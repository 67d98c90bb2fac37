"""`python -m model_service.prove BUNDLE`: what one format of a bundle answers, through the runtime that will serve it.

`modelport pack` compares these answers with the estimator's own, so that what is proven is what runs. Rows come as
JSON on standard input, `{"rows": [[value, ...], ...]}` in the signature's order with null for missing values; answers
go to standard output: `{"answers": [{"prediction", "probabilities"}], "requests", "load_seconds",
"single_row_seconds", "peak_rss_bytes"}`. With `"hooks": true` the rows are requests and go through the bundle's hooks;
the hooks' own examples stand in for them, where there are any.
"""

import argparse
import resource
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from model_artifact.bundle import open_bundle
from model_artifact.coercion import Row
from model_artifact.errors import ArtifactError
from model_service import hooks, proving, runtimes
from model_service.errors import LoadFailed, ServiceError
from model_service.jsontext import dumps, loads
from model_service.runtimes.base import Runtime
from model_service.schema import Schema

CHUNK_ROWS = 256
TIMED_CALLS = 31


def main() -> None:
    """Prove one format; on failure the last line of standard error says why and the exit code is 1."""
    arguments = _parser().parse_args()
    try:
        report = prove(arguments.bundle, arguments.format, arguments.allow_pickle, loads(sys.stdin.buffer.read()))
    except (ArtifactError, LoadFailed, ServiceError) as error:
        sys.exit(str(error))
    sys.stdout.buffer.write(dumps(report))


def prove(directory: Path, kind: Any, trusted: bool, document: dict[str, Any]) -> dict[str, Any]:
    """Load the format `kind` of a bundle and answer `document["rows"]`.

    Raises:
        ArtifactError, LoadFailed, ServiceError: the bundle, its format or its rows are not servable.
    """
    bundle = open_bundle(directory)
    chosen = bundle.manifest.format(kind)
    if chosen is None:
        raise LoadFailed(f"{directory} has no format {kind!r}")
    started = time.perf_counter()
    runtime = runtimes.load(kind, bundle.path(chosen.path), bundle.manifest.signature, trusted=trusted)
    loaded = time.perf_counter() - started
    schema, requests = Schema(runtime.signature), document["rows"]
    found = hooks.load(bundle, trusted) if document.get("hooks") else None
    if found is None:
        rows = schema.decode(requests)
    else:
        requests = list(found.examples) or requests
        rows, _ = proving.through(requests, runtime, schema, found)
    answers = [
        answer for start in range(0, len(rows), CHUNK_ROWS) for answer in _answer(runtime, rows[start:][:CHUNK_ROWS])
    ]
    return {
        "answers": answers,
        "requests": requests if found else None,
        "load_seconds": loaded,
        "single_row_seconds": _single_row_seconds(runtime, rows[0]) if rows else None,
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def _answer(runtime: Runtime, rows: list[Row]) -> list[dict[str, Any]]:
    answers = runtime.predict(rows)
    scores = [None] * len(rows) if answers.probabilities is None else answers.probabilities.tolist()
    return [
        {"prediction": value, "probabilities": row}
        for value, row in zip(answers.predictions.tolist(), scores, strict=True)
    ]


def _single_row_seconds(runtime: Runtime, row: Row) -> float:
    durations = []
    for _ in range(TIMED_CALLS):
        started = time.perf_counter()
        runtime.predict([row])
        durations.append(time.perf_counter() - started)
    return statistics.median(durations)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m model_service.prove", description="Answer rows through the runtime."
    )
    parser.add_argument("bundle", type=Path, help="directory that holds manifest.json")
    parser.add_argument("--format", required=True, choices=list(runtimes.RUNTIMES), help="which of its formats to load")
    parser.add_argument("--allow-pickle", action="store_true", help="the bundle is your own: code in it may run")
    return parser


if __name__ == "__main__":
    main()
