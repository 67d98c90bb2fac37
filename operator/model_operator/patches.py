"""Merge patches (RFC 7386) between two JSON objects, so that a status is written where it differs, and keys can go."""

from collections.abc import Mapping
from typing import Any


def patch_of(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What makes `after` of `before`; empty where they are the same. None is the same as nothing."""
    patch: dict[str, Any] = {}
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            below = patch_of(old, new)
            patch |= {key: below} if below else {}
        elif old != new:
            patch[key] = _without_nothing(new)
    return patch


def _without_nothing(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {key: _without_nothing(found) for key, found in value.items() if found is not None}
