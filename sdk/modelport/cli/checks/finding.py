"""What a check is given and what it says."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from modelport.cli.children import capture, last_line


@dataclass(frozen=True)
class Finding:
    """One line of the report; `advice` says what to do about it."""

    status: Literal["ok", "warn", "fail"]
    subject: str
    found: str
    advice: str = ""


@dataclass(frozen=True)
class Setting:
    """An effective setting of the service: its value as text, and where that came from."""

    value: str
    origin: str


@dataclass(frozen=True)
class Context:
    """Settings by name, empty when `settings_error` says why they were refused; the bundle, when one was given."""

    settings: Mapping[str, Setting]
    settings_error: str | None
    bundle: Path | None

    @classmethod
    def read(cls, bundle: Path | None) -> Self:
        """Ask the service for its settings."""
        done = capture("model_service", ["--show-settings", "--json"])
        if done.returncode:
            return cls({}, last_line(done.stderr), bundle)
        rows = json.loads(done.stdout)
        return cls({row["setting"]: Setting(row["value"], row["origin"]) for row in rows}, None, bundle)
