"""JSON in and out: strict, and with one sentence for what is not JSON."""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from model_service.errors import InvalidJson

dumps = msgspec.json.Encoder().encode
"""Plain values as JSON: NaN and infinities become null, floats are written so that they read back exactly."""

_ESCAPED = re.compile(r'["\\\x00-\x1f]')


def are_plain(names: Iterable[str]) -> bool:
    """Whether JSON writes every one of these without an escape, as the names of compiled structures have to be."""
    return not any(map(_ESCAPED.search, names))


def loads(body: bytes) -> Any:
    """Parse a request's body.

    Raises:
        InvalidJson: it is not JSON; NaN and Infinity are not, nor is nesting beyond the interpreter's depth.
    """
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise InvalidJson(f"the body is not valid JSON: {error}") from None
    except UnicodeDecodeError:  # of names; for values it is a DecodeError
        raise InvalidJson("the body is not valid JSON: it is not UTF-8") from None
    except RecursionError:
        raise InvalidJson("the body is nested too deeply") from None
