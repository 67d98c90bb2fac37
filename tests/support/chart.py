"""The chart, rendered by the helm on PATH or by the one that `make cluster` built."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml

REPO = Path(__file__).parents[2]
CHART = REPO / "charts" / "model-service"
VALUE_SETS = sorted(CHART.glob("ci/*-values.yaml"))
URI = {"model": {"uri": "gs://models/churn/3"}}
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BUILT = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modelport" / "cluster" / "bin"

Values = Mapping[str, Any] | Path


@dataclass(frozen=True)
class Render:
    """The objects of one render."""

    text: str

    @cached_property
    def objects(self) -> list[Any]:
        return [item for item in yaml.load_all(self.text, _LOADER) if item]

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
        return _called("service", self.pod["containers"])

    @property
    def fetch(self) -> Any:
        return _called("fetch", self.pod["initContainers"])

    @property
    def volumes(self) -> dict[str, Any]:
        """Volumes of the service's pods by name."""
        return {volume["name"]: volume for volume in self.pod["volumes"]}


def given(name: str) -> Any:
    """One of the value sets that ship with the chart."""
    return yaml.safe_load((CHART / "ci" / f"{name}-values.yaml").read_text())


def variables(container: Any) -> dict[str, Any]:
    """Environment variables of a container that are set literally."""
    return {item["name"]: item["value"] for item in container["env"] if "value" in item}


def mounts(container: Any) -> dict[str, Any]:
    """Mounts of a container by path."""
    return {mount["mountPath"]: mount for mount in container["volumeMounts"]}


def merged(*values: Mapping[str, Any]) -> dict[str, Any]:
    """Values with later ones merged over earlier ones, as helm merges its files."""
    result: dict[str, Any] = {}
    for layer in values:
        for key, value in layer.items():
            both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
            result[key] = merged(result[key], value) if both else value
    return result


def _called(name: str, containers: list[Any]) -> Any:
    (found,) = [container for container in containers if container["name"] == name]
    return found


def program(name: str) -> str:
    """A program on PATH, or the one that was built into the user's cache."""
    found = shutil.which(name) or shutil.which(name, path=str(_BUILT))
    assert found, f"{name} is needed: install it, or run `scripts/cluster/build.sh {name}`"
    return found


@cache
def _schemas() -> Path:
    command = [sys.executable, str(REPO / "scripts" / "cluster" / "schemas.py")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return Path(result.stdout.strip())


def api_schema(name: str) -> Any:
    """One of the schemas that scripts/cluster/schemas.py gathers."""
    return json.loads((_schemas() / f"{name}.json").read_text())


def complaints_of_the_api(manifests: str) -> str:
    """What kubeconform says of manifests, against the schemas of the API and of custom resources; empty if valid."""
    location = f"{_schemas()}/{{{{.ResourceKind}}}}_{{{{.Group}}}}_{{{{.ResourceAPIVersion}}}}.json"
    command = [program("kubeconform"), "-strict", "-schema-location", location]
    result = subprocess.run(command, input=manifests, capture_output=True, text=True, check=False)
    return result.stdout + result.stderr


def run_helm(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run helm, whatever its outcome."""
    return subprocess.run([program("helm"), *arguments], capture_output=True, text=True, check=False, input=text)


def template(
    values: Values, *flags: str, release: str = "first", chart: Path = CHART
) -> subprocess.CompletedProcess[str]:
    """`helm template` of the chart with `values`, whatever its outcome."""
    given, text = (str(values), None) if isinstance(values, Path) else ("-", json.dumps(values))
    return run_helm("template", release, str(chart), "--namespace=models", "--values", given, *flags, text=text)


def render(values: Values, *flags: str, release: str = "first", chart: Path = CHART) -> Render:
    """Render the chart; fails with helm's complaint. The same values are rendered once."""
    key = values if isinstance(values, Path) else json.dumps(values)
    return Render(_rendered(key, flags, release, chart))


@cache
def _rendered(key: Path | str, flags: tuple[str, ...], release: str, chart: Path) -> str:
    values = key if isinstance(key, Path) else json.loads(key)
    result = template(values, *flags, release=release, chart=chart)
    assert result.returncode == 0, result.stderr
    return result.stdout


def refusal(values: Values) -> str:
    """Render values that must be refused; returns the complaint."""
    result = template(values)
    assert result.returncode != 0, result.stdout
    return result.stderr
