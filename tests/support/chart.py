"""The chart, rendered by the helm on PATH or by the one that `make cluster` built."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[2] / "charts" / "model-service"
VALUE_SETS = sorted(CHART.glob("ci/*-values.yaml"))
URI = {"model": {"uri": "gs://models/churn/3"}}
_BUILT = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modelport" / "cluster" / "bin"

Values = Mapping[str, Any] | Path


@dataclass(frozen=True)
class Render:
    """The objects of one render."""

    text: str

    @property
    def objects(self) -> list[Any]:
        return [item for item in yaml.safe_load_all(self.text) if item]

    def kind(self, kind: str) -> list[Any]:
        return [item for item in self.objects if item["kind"] == kind]

    def one(self, kind: str) -> Any:
        (found,) = self.kind(kind)
        return found

    @property
    def pod(self) -> Any:
        """Specification of the service's pods."""
        return self.one("Deployment")["spec"]["template"]["spec"]

    @property
    def service(self) -> Any:
        (container,) = self.pod["containers"]
        return container

    @property
    def fetch(self) -> Any:
        (container,) = self.pod["initContainers"]
        return container


def given(name: str) -> Any:
    """One of the value sets that ship with the chart."""
    return yaml.safe_load((CHART / "ci" / f"{name}-values.yaml").read_text())


def variables(container: Any) -> dict[str, Any]:
    """Environment variables of a container that are set literally."""
    return {item["name"]: item["value"] for item in container["env"] if "value" in item}


def run_helm(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run helm, whatever its outcome."""
    helm = shutil.which("helm") or shutil.which("helm", path=str(_BUILT))
    assert helm, "helm is needed: install it, or run `make cluster`, which builds it"
    return subprocess.run([helm, *arguments], capture_output=True, text=True, check=False, input=text)


def template(values: Values, *flags: str, release: str = "first") -> subprocess.CompletedProcess[str]:
    """`helm template` of the chart with `values`, whatever its outcome."""
    given, text = (str(values), None) if isinstance(values, Path) else ("-", json.dumps(values))
    return run_helm("template", release, str(CHART), "--namespace=models", "--values", given, *flags, text=text)


def render(values: Values, *flags: str, release: str = "first") -> Render:
    """Render the chart; fails with helm's complaint."""
    result = template(values, *flags, release=release)
    assert result.returncode == 0, result.stderr
    return Render(result.stdout)


def refusal(values: Values) -> str:
    """Render values that must be refused; returns the complaint."""
    result = template(values)
    assert result.returncode != 0, result.stdout
    return result.stderr
