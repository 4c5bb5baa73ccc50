"""A picture of how many examples each class has."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_MOST_BARS = 40
_INCHES_OF_A_BAR = 0.24
_LONGEST_NAME = 24
_COLORS = ("#0b74c4", "#2e9e5b", "#d39b1e")


def draw_class_picture(
    names: Sequence[str], counts: Sequence[Sequence[int]], splits: Sequence[str], path: Path
) -> None:
    """Writes a PNG: a bar a class with a part for each split; with many classes a curve.

    Args:
        names: Of the classes.
        counts: Class by class, split by split.
        splits: Their names.
        path: The file.
    """
    few = len(names) <= _MOST_BARS
    height = 0.8 + _INCHES_OF_A_BAR * len(names) if few else 3.0
    figure = Figure(figsize=(8, height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    if few:
        _bars(axes, names, counts, splits)
    else:
        _curve(axes, counts)
    axes.spines[["top", "right"]].set_visible(False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # letters that the font lacks become boxes
        figure.savefig(path)


def _bars(
    axes: Axes, names: Sequence[str], counts: Sequence[Sequence[int]], splits: Sequence[str]
) -> None:
    left = [0] * len(names)
    places = range(len(names))
    for split, color, values in zip(splits, _COLORS, zip(*counts, strict=True), strict=False):
        axes.barh(places, values, left=left, color=color, label=split)
        left = [a + b for a, b in zip(left, values, strict=True)]
    short = [n if len(n) <= _LONGEST_NAME else n[: _LONGEST_NAME - 1] + "…" for n in names]
    axes.set_yticks(places, short, fontsize=8, parse_math=False)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel("examples")
    axes.legend(fontsize=8, frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))


def _curve(axes: Axes, counts: Sequence[Sequence[int]]) -> None:
    totals = sorted((sum(row) for row in counts), reverse=True)
    axes.fill_between(range(1, len(totals) + 1), totals, color=_COLORS[0], step="mid")
    axes.set(xlabel="classes, the largest first", ylabel="examples", xlim=(1, len(totals)))
    axes.set_ylim(bottom=0)
