"""The chart, rendered by helm: the one description of the pod. Equal values are rendered once."""

import hashlib
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from model_operator.metrics import RENDERS

TIMEOUT = 60.0
CACHED = 512
MESSAGE_LIMIT = 1024
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class ValuesRefused(Exception):
    """The chart's schema or its checks refuse the values; the message is the chart's own."""


class Chart:
    """A chart's folder. `hash` covers each of its files."""

    def __init__(self, path: Path, helm: str = "helm") -> None:
        self._path = path
        self._helm = helm
        self._cache: dict[str, list[dict[str, Any]]] = {}
        self.version = str(yaml.safe_load((path / "Chart.yaml").read_text("utf-8"))["version"])
        self.hash = _folder_hash(path)

    def render(self, name: str, namespace: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The objects of a release; not to be changed by the caller.

        Raises:
            ValuesRefused: by the schema, or by a check in a template.
        """
        text = json.dumps(values, sort_keys=True)
        key = digest_of([name, namespace, text])
        if key in self._cache:
            RENDERS.labels("cached").inc()
            return self._cache[key]
        objects = self._rendered(name, namespace, text)
        RENDERS.labels("rendered").inc()
        while len(self._cache) >= CACHED:
            self._cache.pop(next(iter(self._cache)), None)
        self._cache[key] = objects
        return objects

    def _rendered(self, name: str, namespace: str, values: str) -> list[dict[str, Any]]:
        command = [
            self._helm, "template", name, str(self._path), "--namespace", namespace, "--no-hooks", "--values", "-",
        ]  # fmt: skip
        result = subprocess.run(  # noqa: S603 - a fixed program; names are checked by the resource's schema
            command, input=values, capture_output=True, text=True, check=False, timeout=TIMEOUT
        )
        if result.returncode:
            RENDERS.labels("refused").inc()
            raise ValuesRefused(_sentence(result.stderr))
        return [item for item in yaml.load_all(result.stdout, _LOADER) if item]


def digest_of(value: Any) -> str:
    """A short name for a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _folder_hash(path: Path) -> str:
    files = sorted(found for found in path.rglob("*") if found.is_file())
    return digest_of([(str(file.relative_to(path)), hashlib.sha256(file.read_bytes()).hexdigest()) for file in files])


def _sentence(complaint: str) -> str:
    """Helm's complaint without the places in templates that only the chart's authors know."""
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    text = " ".join(lines).removeprefix("Error: ")
    if text.startswith("execution error at (") and "): " in text:
        text = text.split("): ", 1)[1]
    return text.replace("values don't meet the specifications of the schema(s) in the following chart(s): ", "")[
        :MESSAGE_LIMIT
    ]
