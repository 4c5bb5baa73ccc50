"""Whether memory grows from epoch to epoch: told from noise, and from a start that settles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

_FEWEST = 4
_ENOUGH = 8  # epochs; before, only what can't be overlooked counts
_MOST = 60  # pairs are compared: a longer history is thinned out
_PAIRS_THAT_GROW = 0.9
_STILL = 0.7
_NOISE = 4.0
_LEAST_MB = 6.0
_LEAST_PART, _PLAIN_PART = 0.0075, 0.01

Points = Sequence[tuple[int, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """A growth that does not end.

    Attributes:
        mb_per_epoch: How fast.
        mb: By how much since the start settled.
        since: First epoch that was looked at, counted from 1.
        until: The last one.
    """

    mb_per_epoch: float
    mb: float
    since: int
    until: int


def leak_in(values_mb: Sequence[float], first: int = 1) -> Leak | None:
    """A steady growth in the memory after each epoch; None when there is none, or too few epochs.

    The first epochs are left out (libraries and caches settle). The slope is Theil and Sen's, the
    median over all pairs of epochs, which single outliers do not move. It is a leak when nearly all
    pairs grow (Kendall's test), the growth is far above the noise around the line and above what
    allocators do, and the second half grows nearly as fast as the whole. With few epochs it must be
    plain: 1 % of all memory in every epoch.

    Args:
        values_mb: Memory after each epoch.
        first: Number of the epoch of the first value.
    """
    few = len(values_mb) < _ENOUGH
    points = list(enumerate(values_mb, first))[max(2 if few else 3, len(values_mb) // 5) :]
    if len(points) < _FEWEST:
        return None
    thinned = points[:: -(-len(points) // _MOST)]
    slope = _slope(thinned)
    grown = slope * (points[-1][0] - points[0][0])
    if _slope(thinned[len(thinned) // 2 :]) < _STILL * slope:
        return None
    if not _grows(thinned, 1.0 if few else _PAIRS_THAT_GROW):
        return None
    size = median(value for _, value in points)
    if grown <= max(_LEAST_MB, _NOISE * _noise(thinned, slope), _LEAST_PART * size):
        return None
    if few and slope < _PLAIN_PART * size:
        return None
    return Leak(mb_per_epoch=slope, mb=grown, since=points[0][0], until=points[-1][0])


def _slope(points: Points) -> float:
    return median((b - a) / (j - i) for (i, a), (j, b) in combinations(points, 2))


def _grows(points: Points, part: float) -> bool:
    pairs = [b > a for (_, a), (_, b) in combinations(points, 2)]
    return sum(pairs) >= part * len(pairs)


def _noise(points: Points, slope: float) -> float:
    middle = median(value - slope * epoch for epoch, value in points)
    return median(abs(value - slope * epoch - middle) for epoch, value in points)


def leak_in_words(leak: Leak, where: str) -> str:
    """What to tell the user.

    Args:
        leak: It.
        where: "host" or "GPU".
    """
    return (
        f"Memory leaks: the {where}'s grows by about {leak.mb_per_epoch:.3g} MB an epoch "
        f"({leak.mb:.3g} MB from epoch {leak.since} to {leak.until}). Usual causes: tensors, "
        "batches or models that a callback or a metric keeps in a list; layers, tf.functions or "
        "datasets made anew in every epoch; arrays kept by a generator or tf.py_function."
    )
