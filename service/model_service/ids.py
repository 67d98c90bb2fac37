"""Identifiers of requests and predictions: UUIDs of version 4, a process's own random half and a counter.

Drawing all 122 bits anew costs more than a prediction does.
"""

import itertools
import os
import uuid
from collections.abc import Iterator

_counter = _blocks = itertools.count()
_prefix = _prefix_of_blocks = ""
_ENDS = [b"%03x" % number for number in range(16**3)]
_BLOCKS = 16**9
"""After so many the first is made again: in years."""


def _renew() -> None:
    """Draw the random halves again: a forked process must not go on with its parent's."""
    global _prefix, _counter, _prefix_of_blocks, _blocks
    _prefix, _prefix_of_blocks = str(uuid.uuid4())[:24], str(uuid.uuid4())[:24]
    _counter, _blocks = itertools.count(int.from_bytes(os.urandom(5))), itertools.count(int.from_bytes(os.urandom(4)))


_renew()
os.register_at_fork(after_in_child=_renew)


def make_id() -> str:
    """A new identifier, unique over processes and restarts; not a secret."""
    return f"{_prefix}{next(_counter):012x}"


def make_ids(count: int) -> Iterator[tuple[bytes, list[bytes]]]:
    """Several new identifiers, for text that is put together: how some of them begin, and how each of these ends.

    They are taken from blocks of 4096, whose ends are always the same, so that there is nothing to write for each.
    """
    for start in range(0, count, len(_ENDS)):
        yield f"{_prefix_of_blocks}{next(_blocks) % _BLOCKS:09x}".encode(), _ENDS[: count - start]
