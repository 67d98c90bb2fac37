"""What the operator is told, all of it `MODELPORT_OPERATOR_*` variables; the operator's chart sets them."""

import difflib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

PREFIX = "MODELPORT_OPERATOR_"


class SettingsInvalid(Exception):
    """A variable that nobody reads, or a value that makes no sense."""


@dataclass(frozen=True)
class Settings:
    """Every setting. Times are seconds."""

    namespace: str = "default"
    """Where the operator itself lives: its Lease and its key."""
    name: str = "modelport-operator"
    """Of the Lease, and the beginning of the name of the key's Secret."""
    identity: str = ""
    """Who holds the Lease: the name of the pod."""
    watch: tuple[str, ...] = ()
    """Namespaces whose resources are looked after; none: all."""
    chart: Path = Path("/opt/modelport/charts/model-service")
    helm: str = "helm"
    workers: int = 4
    """Resources that are looked at at the same time."""
    port: int = 8080
    """Of /healthz and /metrics."""
    host: str = "0.0.0.0"  # noqa: S104 - kubelet and Prometheus ask from outside the pod
    lease_seconds: int = 15
    resync_seconds: int = 300
    """Longest time until a resource is looked at again, whatever happened."""
    log_level: str = "info"

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """The settings of this process.

        Raises:
            SettingsInvalid: an unknown variable or a bad value.
        """
        given = {name.removeprefix(PREFIX).lower(): text for name, text in environ.items() if name.startswith(PREFIX)}
        known = {field.name for field in fields(cls)}
        for name in given.keys() - known:
            nearest = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {PREFIX}{nearest[0].upper()}?" if nearest else ""
            raise SettingsInvalid(f"unknown setting {PREFIX}{name.upper()}{hint}")
        values = replace(cls(), **{name: _parse(name, text) for name, text in given.items()})
        if not (values.chart / "Chart.yaml").is_file():
            raise SettingsInvalid(
                f"{PREFIX}CHART: {values.chart} holds no Chart.yaml; give the folder of model-service"
            )
        if shutil.which(values.helm) is None:
            raise SettingsInvalid(f"{PREFIX}HELM: there is no program {values.helm}; install helm, or name its path")
        return values


_COUNTS = {"workers", "port", "lease_seconds", "resync_seconds"}


def _parse(name: str, text: str) -> Any:
    if name in _COUNTS:
        if not text.isdecimal() or int(text) < 1:
            raise SettingsInvalid(f"{PREFIX}{name.upper()}: expected a whole number above 0, got {text!r}")
        return int(text)
    if name == "watch":
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return Path(text) if name == "chart" else text
