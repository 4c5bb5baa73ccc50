"""Timings as they were taken: one array a turn, in the order of the turns.

Runs that follow each other are alike (the same clocks, the same caches, the same neighbours), so a
thousand runs of one turn say less than a thousand. What can be treated as independent are turns,
between which the other variants ran; and where there are too few turns, pieces of them that are
long against whatever makes neighbours alike (batch means: Schmeiser, Batch size effects in the
analysis of simulation output, 1982).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Samples = np.ndarray[Any, np.dtype[np.int64]]
#: Nanoseconds, one array a turn.
Blocks = Sequence[Samples]

#: Fewer pieces say nothing of how far they scatter.
FEWEST_PIECES = 4
_WANTED_PIECES = 10  # of too few turns: Schmeiser's 10 to 30, at the end where pieces are long
_FEWEST_RUNS = 5  # of a piece, for a median of its own


def all_samples(blocks: Blocks) -> Samples:
    """All timings in their order."""
    return np.concatenate(blocks) if len(blocks) else np.zeros(0, np.int64)


def pieces(blocks: Blocks) -> list[Samples]:
    """The turns, or parts of them when there are fewer than four; empty when it is too little."""
    turns = [turn for turn in blocks if len(turn)]
    parts = _parts(turns)
    found = [part for turn in turns for part in np.array_split(turn, parts)]
    return found if len(found) >= FEWEST_PIECES else []


def paired_pieces(own: Blocks, reference: Blocks) -> list[tuple[Samples, Samples]]:
    """Pieces of both that are neighbours in time; turns that one of them lacks are left out."""
    turns = [(a, b) for a, b in zip(own, reference, strict=False) if len(a) and len(b)]
    parts = _parts([turn for pair in turns for turn in pair], turns=len(turns))
    found = [
        pair
        for a, b in turns
        for pair in zip(np.array_split(a, parts), np.array_split(b, parts), strict=True)
    ]
    return found if len(found) >= FEWEST_PIECES else []


def _parts(blocks: Blocks, turns: int | None = None) -> int:
    """How many pieces each of the turns is cut into."""
    turns = len(blocks) if turns is None else turns
    if not turns or turns >= FEWEST_PIECES:
        return 1
    shortest = min(len(block) for block in blocks)
    return max(1, min(-(-_WANTED_PIECES // turns), shortest // _FEWEST_RUNS))
