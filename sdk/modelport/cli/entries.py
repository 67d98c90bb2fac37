"""Files of keys and users: YAML lists that people edit too, so that entries are added and nothing else is touched."""

from pathlib import Path
from typing import Any

import yaml

from modelport.cli.group import Failure

Entry = dict[str, Any]


def written(entry: Entry) -> str:
    """A list of this entry alone."""
    return yaml.safe_dump([entry], sort_keys=False, width=1000)


def add(entry: Entry, file: Path) -> None:
    """Add an entry to a file, which is made when there is none.

    Raises:
        Failure: the file has one of that name, or is no list.
    """
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    entries = _entries(before)
    if any(isinstance(other, dict) and other.get("name") == entry["name"] for other in entries or []):
        raise Failure(f"{file} has an entry {entry['name']!r} already; remove it, or take another name")
    after = before + ("" if before.endswith("\n") or not before else "\n") + written(entry)
    if entries is None or _entries(after) != [*entries, entry]:
        raise Failure(f"{file} is no YAML list of lines that begin with '- '; add this yourself:\n{written(entry)}")
    file.write_text(after, encoding="utf-8")


def _entries(text: str) -> list[Any] | None:
    """The list that a file holds; null when it holds something else."""
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        return None
    return [] if found is None else found if isinstance(found, list) else None
