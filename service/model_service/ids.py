"""Identifiers of requests and predictions: UUIDs of version 4, a process's own random half and a counter.

Drawing all 122 bits anew costs more than a prediction does.
"""

import itertools
import os
import uuid

_counter = itertools.count()
_prefix = ""


def _renew() -> None:
    """Draw the random half again: a forked process must not go on with its parent's."""
    global _prefix, _counter  # noqa: PLW0603 - one of each process
    _prefix = str(uuid.uuid4())[:24]
    _counter = itertools.count(int.from_bytes(os.urandom(5)))


_renew()
os.register_at_fork(after_in_child=_renew)


def make_id() -> str:
    """A new identifier, unique over processes and restarts; not a secret."""
    return f"{_prefix}{next(_counter):012x}"


def make_ids(count: int) -> list[str]:
    """Several new identifiers."""
    prefix = _prefix
    return [f"{prefix}{number:012x}" for number in itertools.islice(_counter, count)]
