"""Write the tables of docs/api.md and docs/metrics.md from the service's OpenAPI document and its table of metrics.

The document is that of the iris model of the newest release in tests/releases.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastapi.openapi.utils import get_openapi
from fastapi.testclient import TestClient
from pages import DOCS, cell, rewrite, table

from model_service.api.admin import router as admin_router
from model_service.app import create_app
from model_service.settings import LATENCY_BUCKETS, Settings
from model_service.telemetry.metrics import METRICS, Metric
from model_service.telemetry.totals import INFO, WORKERS

RELEASES = Path(__file__).parent.parent / "tests" / "releases"
BUCKETS = {"latency": " Seconds; buckets by setting.", "baseline": " Buckets of the bundle's baseline."}
SCHEMAS = ("Features", "PredictRequest", "BatchRequest", "Prediction", "BatchPrediction", "Error")


def document() -> Any:
    """The OpenAPI document of a running service."""
    newest = max(RELEASES.glob("*/models"), key=lambda path: [int(part) for part in path.parent.name.split(".")])
    with TestClient(create_app(Settings(model_root=newest))) as client:
        return client.get("/openapi.json").json()


def requests() -> str:
    """A section for each request: what it is for, its parameters, its body, and every answer."""
    return "\n".join(
        _request(f"{method.upper()} {path}", operation)
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
    )


def admin() -> str:
    """A section for each request to the admin port."""
    paths = get_openapi(title="", version="", routes=admin_router.routes)["paths"]
    operations = {f"{verb.upper()} {path}": each for path, verbs in paths.items() for verb, each in verbs.items()}
    for operation in operations.values():
        if operation["responses"].get("422", {}).get("description") == "Validation Error":
            del operation["responses"]["422"]  # the framework's own; names in paths are text
    return "\n".join(_request(name, operation) for name, operation in operations.items())


def _request(name: str, operation: Any) -> str:
    parts = [f"### {name}\n", f"{cell(operation['description'])}\n"]
    parameters = operation.get("parameters", [])
    if parameters:
        rows = [(f"`{one['name']}`", one["in"], cell(one.get("description", ""))) for one in parameters]
        parts.append(table(("parameter", "in", "meaning"), rows))
    if "requestBody" in operation:
        parts.append(f"Body: {_schema(operation['requestBody'])}.\n")
    rows = [(status, _schema(answer), cell(answer["description"])) for status, answer in operation["responses"].items()]
    parts.append(table(("status", "body", "when"), rows))
    return "\n".join(parts)


def _schema(described: Any) -> str:
    found = [
        content.get("schema", {}).get("$ref", "").rpartition("/")[2]
        for content in described.get("content", {}).values()
    ]
    return ", ".join(f"[{name}](#{name.lower()})" for name in found if name)


def schemas() -> str:
    """Each schema of the document."""
    found = document()["components"]["schemas"]
    return "\n".join(
        f"### {name}\n\n```json\n{json.dumps(schema, indent=2)}\n```\n"
        for name, schema in found.items()
        if name in SCHEMAS
    )


def metrics() -> str:
    """Every metric, with its labels."""
    return table(("metric", "kind", "labels", "meaning"), _metrics())


def _metrics() -> Iterator[tuple[str, ...]]:
    for metric in (*METRICS, WORKERS, INFO):
        labels = " ".join(f"`{label}`" for label in metric.labels)
        yield f"`{metric.name}`", metric.kind, labels, f"{cell(metric.help)}{_buckets(metric)}"


def _buckets(metric: Metric) -> str:
    if isinstance(metric.buckets, str):
        return BUCKETS[metric.buckets]
    return f" Buckets {', '.join(f'{bound:g}' for bound in metric.buckets)}." if metric.buckets else ""


def buckets() -> str:
    """The default upper bounds of the latency histograms."""
    return f"{', '.join(f'{bound:g}' for bound in LATENCY_BUCKETS)}\n"


PAGES = {
    DOCS / "api.md": {"api: requests": requests, "api: schemas": schemas, "api: admin": admin},
    DOCS / "metrics.md": {"metrics: table": metrics, "metrics: buckets": buckets},
}

if __name__ == "__main__":
    sys.exit(rewrite(__doc__, "service_reference.py", PAGES))
