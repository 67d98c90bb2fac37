"""Reading single settings from text. Every function raises ValueError with what it expected."""

import json
import math
import re
from typing import get_args

from model_artifact.digests import parse_digest
from model_artifact.errors import DigestMismatch
from model_fetcher.sources.base import Auth

UNITS = {
    "": 1,
    "K": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 1 << 10,
    "Mi": 1 << 20,
    "Gi": 1 << 30,
    "Ti": 1 << 40,
}
_BYTES = re.compile(r"(\d+)((?:[KMGT]i?)?)", re.ASCII)


def read_switch(text: str) -> bool:
    """`true` or `false`, as people write them."""
    try:
        return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[text.strip().lower()]
    except KeyError:
        raise ValueError("expected true or false") from None


def read_seconds(text: str) -> float:
    """A time above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise ValueError("expected a number of seconds above 0")
    return value


def read_pin(text: str) -> str:
    """A sha256, with or without its prefix; never shown when it is none."""
    try:
        return parse_digest(text)
    except DigestMismatch as error:
        raise ValueError(str(error)) from error


def read_text(text: str) -> str:
    """Anything but nothing."""
    if not text.strip():
        raise ValueError("expected some text")
    return text


def read_patterns(text: str) -> tuple[str, ...]:
    """Patterns with commas between them, or a JSON list."""
    try:
        items = json.loads(text) if text.lstrip().startswith("[") else text.split(",")
    except ValueError:
        items = [None]
    if not all(isinstance(item, str) for item in items):
        raise ValueError("expected patterns with commas between them, or a JSON list of texts")
    return tuple(item.strip() for item in items if item.strip())


def read_auth(text: str) -> str:
    """A way to ask."""
    if text not in get_args(Auth):
        raise ValueError(f"expected one of {', '.join(get_args(Auth))}")
    return text


def read_headers(text: str) -> dict[str, str]:
    """A JSON object of HTTP headers."""
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise ValueError('expected a JSON object of texts, such as {"Authorization": "Bearer ..."}')
    return value


def read_size(text: str) -> int:
    """Bytes, with or without a unit."""
    match = _BYTES.fullmatch(text.strip())
    if match is None:
        raise ValueError("expected bytes, such as 500000000, 500M or 50Gi")
    return int(match[1]) * UNITS[match[2]]


def read_count(text: str) -> int:
    """How many connections."""
    if not text.strip().isdigit() or not 1 <= int(text) <= 256:
        raise ValueError("expected a number from 1 to 256")
    return int(text)
