"""Python and the packages that this release asks for, read from its own metadata."""

import platform
import re
import sys
from collections.abc import Iterator
from importlib.metadata import metadata, requires

from model_artifact.framework import installed
from modelport.cli.checks.finding import Context, Finding

OLDEST_PYTHON = (3, 11)
_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)\s*(?:>=\s*(?P<least>[0-9.]+))?")
_EXTRA = re.compile(r"extra\s*==\s*['\"](?P<extra>[^'\"]+)['\"]")


def python(_: Context) -> Iterator[Finding]:
    """Is this Python new enough?"""
    found = f"{platform.python_version()} at {sys.executable}"
    least = ".".join(map(str, OLDEST_PYTHON))
    if sys.version_info >= OLDEST_PYTHON:
        yield Finding("ok", "Python", found)
    else:
        yield Finding("fail", "Python", found, f"install Python {least} or later")


def required(_: Context) -> Iterator[Finding]:
    """Is everything that the bare install brings there, and new enough?"""
    for name, least in _requirements(None):
        found = installed(name)
        if found is None:
            yield Finding("fail", name, "not installed", f"pip install '{name}>={least}'")
        elif _number(found) < _number(least):
            yield Finding("fail", name, f"{found} is older than {least}", f"pip install -U '{name}>={least}'")
        else:
            yield Finding("ok", name, found)


def extras(_: Context) -> Iterator[Finding]:
    """Which optional parts are there? A missing one is no fault."""
    for extra in metadata("modelport").get_all("Provides-Extra") or []:
        missing = [name for name, _ in _requirements(extra) if installed(name) is None]
        found = f"not installed; if you need it: pip install 'modelport[{extra}]'" if missing else "installed"
        yield Finding("ok", f"extra {extra}", found)


def _requirements(extra: str | None) -> Iterator[tuple[str, str]]:
    for text in requires("modelport") or []:
        requirement, _, marker = text.partition(";")
        belongs = _EXTRA.search(marker)
        matched = _REQUIREMENT.match(requirement)
        if matched and (belongs["extra"] if belongs else None) == extra:
            yield matched["name"], matched["least"] or "0"


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
