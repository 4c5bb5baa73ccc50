"""Examples are drawn anew, a thousand times: how far would a metric move with other examples?

All that is compared is drawn together (the paired bootstrap: the same examples for a variant and for
the reference), and the same for all variants. The draws are seeded.
"""

from __future__ import annotations

import contextlib
import io
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
_SEED = 0
_GROUPS = 2048  # of examples, where there are more: the spread is then known to 2 %
_LADDER = (1000, 400, 100, 40)  # so that the number of draws rarely hangs on the machine's mood
_MOST_FAILED = 0.05  # of the draws, such as those that lack a class


def redrawn_outcomes(own: Array, reference: Array, draws: int) -> tuple[Array, Array]:
    """Shares of right answers of redrawn examples, own and reference's, each (draws,).

    Half a case is added to each of the four ways in which two models can be right or wrong (Agresti
    and Min, Simple improved confidence intervals for comparing matched proportions, 2005): models
    that differ on none of a few examples are not known to differ on none at all.

    Args:
        own: (examples,) 0 or 1,
        reference: (examples,) 0 or 1 of the same examples.
        draws: How often.
    """
    count = len(own)
    ways = np.bincount((2 * own + reference).astype(np.int64), minlength=4) + 0.5
    drawn = np.random.default_rng(_SEED).multinomial(count, ways / ways.sum(), size=draws) / count
    return drawn[:, 2] + drawn[:, 3], drawn[:, 1] + drawn[:, 3]


def redrawn_means(rows: Array, draws: int) -> Array:
    """The means of redrawn rows, (draws, columns).

    More than 2,048 examples are dealt into as many groups at random, and whole groups are drawn.

    Args:
        rows: (examples, columns).
        draws: How often.
    """
    sums, sizes = _grouped(rows)
    weights = _weights(len(sums), draws)
    return np.asarray((weights @ sums) / (weights @ sizes)[:, None])


def redrawn_function(
    functions: tuple[Callable[[Array], float], ...], count: int, *, draws: int, seconds: float
) -> Array | None:
    """The values of functions of redrawn examples, (draws, functions); None when they are too slow.

    What they print and warn of in between is nobody's concern. Draws in which one fails or gives no
    finite number are left out; more than 5 % of those, and there is no answer.

    Args:
        functions: Each takes the numbers of the examples, (examples,).
        count: Number of examples.
        draws: How often at most.
        seconds: About how long at most.
    """
    drawn = _drawn(count)
    with _quiet():
        started = time.perf_counter()
        values = [_values(functions, next(drawn))]
        a_draw = time.perf_counter() - started
        possible = [step for step in _LADDER if step * a_draw <= seconds and step <= draws]
        if not possible:
            return None
        values += [_values(functions, next(drawn)) for _ in range(possible[0] - 1)]
    found = [value for value in values if value is not None]
    return np.array(found) if len(found) >= (1 - _MOST_FAILED) * len(values) else None


def taken(value: Any, rows: Array) -> Any:
    """These rows of an array, or of each array of a mapping."""
    if isinstance(value, Mapping):
        return {name: taken(array, rows) for name, array in value.items()}
    return np.asarray(value)[rows]


def _drawn(count: int) -> Iterator[Array]:
    generator = np.random.default_rng(_SEED)
    while True:
        yield np.sort(generator.integers(0, count, count))


def _values(
    functions: tuple[Callable[[Array], float], ...], rows: Array
) -> tuple[float, ...] | None:
    try:
        values = tuple(float(function(rows)) for function in functions)
    except Exception:  # noqa: BLE001 (a user's function, on a sample that may lack what it needs)
        return None
    return values if all(math.isfinite(value) for value in values) else None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _grouped(rows: Array) -> tuple[Array, Array]:
    """The sums of the groups' rows, (groups, columns), and the groups' sizes, (groups,)."""
    if len(rows) <= _GROUPS:
        return rows, np.ones(len(rows))
    dealt = rows[np.random.default_rng(_SEED).permutation(len(rows))]
    starts = np.linspace(0, len(rows), _GROUPS, endpoint=False).astype(np.int64)
    sizes = np.diff([*starts, len(rows)]).astype(np.float64)
    return np.add.reduceat(dealt, starts, axis=0), sizes


@lru_cache(maxsize=1)
def _weights(units: int, draws: int) -> Array:
    """How often each unit is drawn, (draws, units): the same for every variant and metric."""
    drawn = np.random.default_rng(_SEED).integers(0, units, (draws, units))
    places = drawn + np.arange(draws)[:, None] * units
    counts = np.bincount(places.ravel(), minlength=draws * units)
    return counts.reshape(draws, units).astype(np.float64)
