"""How far what is predicted now lies from what was predicted for the training sample: the population stability index.

The index is the sum over bins of `(seen - sample) * ln(seen / sample)`, both as shares: 0 for equal shares, by custom
worth a look from 0.1 and a shift from 0.25. Where nothing has shifted it is not 0 but, on average,
`(bins - 1) * (1 / seen + 1 / sample)` for so many predictions in the window and in the sample (it is then distributed
as chi-squared, see Yurdakul and Naranjo, "Statistical properties of the population stability index", 2020).
"""

import math
from collections.abc import Iterator, Sequence

LEAST_PREDICTIONS = 200
"""Fewer say nothing: the index is not told."""
LEAST_SHARE = 0.05
"""Of the sample, in a bin; smaller neighbours are joined, because rare bins make most of the noise."""


def shift(sample: Sequence[float], window: Sequence[float]) -> float | None:
    """The index of a window of predictions; null while they are too few.

    Args:
        sample: counts of the training sample, by bin.
        window: running counts by bin, now, at the window's last turn, and at the turn before, one after the other.
    """
    bins = len(sample)
    seen = [now - before for now, before in zip(window[:bins], window[2 * bins :], strict=True)]
    if sum(seen) < LEAST_PREDICTIONS or not sum(sample):
        return None
    return stability_index(*zip(*joined(sample, seen), strict=True))


def stability_index(sample: Sequence[float], seen: Sequence[float]) -> float:
    """The population stability index; an empty bin is taken to hold half an observation of the smaller side."""
    total, others = sum(sample), sum(seen)
    floor = 0.5 / min(total, others)
    shares = [(max(left / total, floor), max(right / others, floor)) for left, right in zip(sample, seen, strict=True)]
    return sum((right - left) * math.log(right / left) for left, right in shares)


def joined(sample: Sequence[float], seen: Sequence[float]) -> Iterator[tuple[float, float]]:
    """Both counts with neighbouring bins joined until they hold enough of the sample; large ones stay by themselves."""
    enough = LEAST_SHARE * sum(sample)
    held = [0.0, 0.0]
    begun = False
    for left, right in zip(sample, seen, strict=True):
        if begun and left >= enough:
            yield held[0], held[1]
            held, begun = [0.0, 0.0], False
        held = [held[0] + left, held[1] + right]
        begun = held[0] < enough
        if not begun:
            yield held[0], held[1]
            held = [0.0, 0.0]
    if begun:
        yield held[0], held[1]
