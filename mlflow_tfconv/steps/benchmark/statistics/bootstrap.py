"""How far a number would move if the whole measurement were made again: whole turns are redrawn.

The bootstrap of clusters: turns are drawn with replacement and taken whole, so that what makes the
runs of a turn alike stays in; runs within a turn are not drawn again (Davison and Hinkley,
Bootstrap Methods and their Application, 1997, 3.8; Ren et al., Nonparametric bootstrapping for
hierarchical data, Journal of Applied Statistics, 2010). Percentiles of so few turns are too narrow;
what is taken from the redrawn values is their standard error, on the logarithmic scale, widened by
sqrt(n / (n - 1)) and by Student's t of n - 1 degrees (Hesterberg, What teachers should know about
the bootstrap, The American Statistician, 2015). Coverage (of high percentiles too low where turns
differ much: few turns have not met the slowest): tests/benchmarks/README.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from mlflow_tfconv.steps.benchmark.statistics.blocks import Samples
from mlflow_tfconv.steps.benchmark.statistics.findings import Interval
from mlflow_tfconv.steps.benchmark.statistics.student import t95

Array = np.ndarray[Any, Any]
_DRAWS = 1000
_SEED = 0
_GRID = 8192  # of the sorted timings, where there are more: finer than any interval


def quantile_intervals(
    pieces: Sequence[Samples], quantiles: Sequence[float]
) -> tuple[Interval, ...]:
    """The 95 % intervals of quantiles of all timings together, in nanoseconds; none for no pieces.

    Args:
        pieces: At least two turns, or what stands for them.
        quantiles: Each 0 to 1.
    """
    if len(pieces) < 2:
        return ()
    middles = np.quantile(np.concatenate(pieces), quantiles)
    redrawn = _redrawn_quantiles(pieces, quantiles)
    return tuple(_interval(float(m), r, len(pieces)) for m, r in zip(middles, redrawn, strict=True))


def quantile_ratio_interval(
    pairs: Sequence[tuple[Samples, Samples]], quantile: float
) -> tuple[float, Interval]:
    """The ratio of a quantile of all first pieces to that of all second ones, and its interval.

    Both of a pair are drawn together, so that what slowed both cancels.

    Args:
        pairs: At least two; neighbours in time.
        quantile: 0 to 1.
    """
    own, reference = ([pair[side] for pair in pairs] for side in (0, 1))
    redrawn = [np.maximum(_redrawn_quantiles(p, (quantile,))[0], 1) for p in (own, reference)]
    whole = [max(float(np.quantile(np.concatenate(p), quantile)), 1.0) for p in (own, reference)]
    ratio = whole[0] / whole[1]
    return ratio, _interval(ratio, redrawn[0] / redrawn[1], len(pairs))


def mean_interval(pieces: Sequence[Samples]) -> Interval | None:
    """The 95 % interval of the mean of all timings together, in nanoseconds; None for no pieces."""
    if len(pieces) < 2:
        return None
    sums = np.array([piece.sum(dtype=np.float64) for piece in pieces])
    lengths = np.array([len(piece) for piece in pieces])
    counts = _counts(len(pieces))
    redrawn = (counts @ sums) / (counts @ lengths)
    return _interval(float(sums.sum() / lengths.sum()), redrawn, len(pieces))


def _interval(middle: float, redrawn: Array, count: int) -> Interval:
    spread = float(np.log(np.maximum(redrawn, np.finfo(np.float64).tiny)).std())
    reach = math.exp(t95(count - 1) * spread * math.sqrt(count / (count - 1)))
    return middle / reach, middle * reach


def _redrawn_quantiles(pieces: Sequence[Samples], quantiles: Sequence[float]) -> list[Array]:
    """Each quantile of each redrawn measurement, (draws,).

    All draws look for their value in the same sorted timings at once: a binary search for the first
    one below which enough of the draw's runs lie.
    """
    counts = _counts(len(pieces))
    ordered = np.sort(np.concatenate(pieces))
    ordered = ordered[np.linspace(0, len(ordered) - 1, min(len(ordered), _GRID)).astype(np.int64)]
    below = np.stack([np.searchsorted(np.sort(p), ordered, side="right") for p in pieces])
    runs = counts @ np.array([len(piece) for piece in pieces])
    return [ordered[_first_with(counts, below, quantile * runs)] for quantile in quantiles]


def _first_with(counts: Array, below: Array, enough: Array) -> Array:
    """The first place of `below` (pieces, places) where each draw has enough runs, (draws,)."""
    low = np.zeros(len(counts), np.int64)
    high = np.full(len(counts), below.shape[1] - 1)
    while np.any(low < high):
        middle = (low + high) // 2
        reached = np.einsum("dn,nd->d", counts, below[:, middle]) >= enough
        high = np.where(reached, middle, high)
        low = np.where(reached, low, middle + 1)
    return low


@lru_cache(maxsize=64)
def _counts(pieces: int) -> Array:
    """How often each piece is drawn, (draws, pieces): the same in every process."""
    generator = np.random.default_rng(_SEED)
    return generator.multinomial(pieces, np.full(pieces, 1 / pieces), size=_DRAWS)
