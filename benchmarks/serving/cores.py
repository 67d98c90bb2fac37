"""Which processor cores serve and which ask: never the same one, as long as there are enough."""

import os

ALL = sorted(os.sched_getaffinity(0))


def serving(workers: int) -> list[int]:
    """The first cores, one a worker."""
    return ALL[:workers]


def asking(workers: int) -> list[int]:
    """The rest; where none is left, the last one is shared, and figures of different servers stay comparable."""
    return ALL[workers:] or ALL[-1:]


def pinned(cores: list[int]) -> list[str]:
    """The prefix of a command that keeps it, and all that it starts, on these cores."""
    return ["taskset", "--cpu-list", ",".join(map(str, cores))]


def keep_out_of_the_way() -> None:
    """Put this process, and the load it starts, beside the server rather than on its core."""
    os.sched_setaffinity(0, asking(1))
