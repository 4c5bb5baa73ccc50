"""Finds the highest rate that holds: a bracket around a first guess, then halving. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

_FIRST_STEP = 1.25
_LARGEST_STEP = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bracket:
    """What is known of the highest rate.

    Attributes:
        held: The highest that held, or None.
        broke: The lowest that did not, or None.
    """

    held: float | None = None
    broke: float | None = None

    def within(self, precision: float) -> bool:
        """Whether the two are as close as this share."""
        return (
            self.held is not None
            and self.broke is not None
            and self.broke <= self.held * (1 + precision)
        )


def searched(
    holds: Callable[[float], bool | None], first: float, *, least: float, precision: float
) -> Bracket:
    """Tries rates, as LoadGen's search for the peak does: outwards, then halving between.

    Steps outwards begin small, since the guess is a good one, and grow with each.

    Args:
        holds: Tries a rate; None: it can't be told, which ends the search.
        first: The guess.
        least: Rates below this are not tried: when this one breaks, none holds.
        precision: Ends the search.
    """
    known, rate, step = Bracket(), max(first, least), _FIRST_STEP
    while not known.within(precision):
        held = holds(rate)
        if held is None:
            return known
        known = _learned(known, rate, held=held)
        if known.held is None and rate <= least:
            return known
        rate, step = _next_rate(known, step), min(step * step, _LARGEST_STEP)
        rate = max(rate, least)
    return known


def _learned(known: Bracket, rate: float, *, held: bool) -> Bracket:
    return Bracket(held=rate, broke=known.broke) if held else Bracket(held=known.held, broke=rate)


def _next_rate(known: Bracket, step: float) -> float:
    if known.held is not None and known.broke is not None:
        return math.sqrt(known.held * known.broke)
    return known.held * step if known.held is not None else (known.broke or 0.0) / step
