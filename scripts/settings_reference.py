"""Write the tables of docs/settings.md from the code that reads the settings."""

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, fields
from typing import Any

from pages import DOCS, cell, rewrite, table

from model_fetcher import settings as fetcher
from model_service import settings as service

Setting = tuple[str, Any, str]


def service_settings() -> Iterator[Setting]:
    """Name, default and meaning of each setting of the service."""
    for name, field in service.FIELDS.items():
        yield f"{service.PREFIX}{name.upper()}", field.default, field.description or ""


def fetcher_settings() -> Iterator[Setting]:
    """Name, default and meaning of each setting of the fetcher."""
    defaults = {field.name: None if field.default is MISSING else field.default for field in fields(fetcher.Settings)}
    for name, option in fetcher.OPTIONS.items():
        meaning = re.sub(r" \(default [^()]*\)$", "", option.help)
        yield f"{fetcher.PREFIX}{name.upper()}", defaults[name], f"{re.sub('^[a-z]+ ', _capital, meaning)}."
    yield fetcher.TERMINATION_PATH, fetcher.TERMINATION_LOG, "Where the reason of a failed fetch is written."


def rows(settings: Iterable[Setting]) -> str:
    """The table of some settings."""
    return table(
        ("name", "default", "meaning"),
        ((f"`{name}`", _shown(default), cell(meaning)) for name, default, meaning in settings),
    )


PARTS = {"settings: service": lambda: rows(service_settings()), "settings: fetcher": lambda: rows(fetcher_settings())}


def _capital(word: re.Match[str]) -> str:
    return word[0].capitalize()


def _shown(default: Any) -> str:
    text = f"{default:g}" if isinstance(default, float) else service.written(default)
    return f"`{text}`" if text else ""


if __name__ == "__main__":
    sys.exit(rewrite(__doc__, "settings_reference.py", {DOCS / "settings.md": PARTS}))
