"""Changes of a traffic document: pure functions from one model's entry to its next."""

from collections.abc import Iterable, Mapping
from typing import Any

Entry = dict[str, Any]
"""One model's traffic: `default`, and where they are given `weights`, `sticky`, `shadow`, `pinned`."""
Document = dict[str, Any]
"""`{"generation": n, "models": {name: Entry}}`."""
WHOLE = 100


def empty() -> Document:
    """What a server without a document has in force."""
    return {"generation": 0, "models": {}}


def parse_weights(words: Iterable[str]) -> dict[str, int]:
    """Read `VERSION=PERCENT` words.

    Raises:
        ValueError: a word is not one, a version is named twice, or the sum is not 100.
    """
    weights: dict[str, int] = {}
    for word in words:
        version, equals, percent = word.rpartition("=")
        if not (equals and version and percent.isascii() and percent.isdigit()):
            raise ValueError(f"expected VERSION=PERCENT with a whole percent, such as 2=10, got {word!r}")
        if version in weights:
            raise ValueError(f"version {version} is named twice")
        weights[version] = int(percent)
    if (total := sum(weights.values())) != WHOLE:
        raise ValueError(f"expected weights with the sum 100, got {' + '.join(map(str, weights.values()))} = {total}")
    return weights


def with_weights(entry: Entry, weights: Mapping[str, int], sticky: str | None) -> Entry:
    """Share requests out by weight.

    Args:
        entry: what is in force.
        weights: whole percents by version.
        sticky: the header whose value decides; empty for none, null for what is in force.
    """
    shared = entry | {"weights": {version: weight for version, weight in weights.items() if weight}}
    return shared if sticky is None else shared | {"sticky": {"header": sticky} if sticky else None}


def with_default(entry: Entry, version: str) -> Entry:
    """Give all requests to a version: it is the default, without weights, and its own shadow no more."""
    kept = {key: value for key, value in entry.items() if key != "weights"}
    if (kept.get("shadow") or {}).get("version") == version:
        del kept["shadow"]
    return kept | {"default": version}


def with_shadow(entry: Entry, version: str, percent: int) -> Entry:
    """Ask a version too, for comparison only."""
    return entry | {"shadow": {"version": version, "percent": percent}}


def without_shadow(entry: Entry) -> Entry:
    """Ask no version for comparison."""
    return {key: value for key, value in entry.items() if key != "shadow"}


def replaced(document: Document, model: str, entry: Entry, generation: int) -> Document:
    """The document with another entry for one model."""
    return {"generation": generation, "models": document["models"] | {model: entry}}
