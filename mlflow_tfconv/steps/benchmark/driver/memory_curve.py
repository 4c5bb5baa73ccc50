"""A curve of memory over time in as many points as a drawing shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

_MOST_POINTS = 240
_DIGITS = 3


def drawn_curve(file: Path, phases: Iterable[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """The curve, thinned so that its highest points stay.

    Args:
        file: (points, 4) float64: seconds, host MB, anonymous host MB, GPU MB; NaN is not seen.
        phases: Each with a name and the `seconds` from when to when it lasted.

    Returns:
        `seconds`, `mb`, `gpu_mb` (absent when it was never seen) and `marks`, the ends of the
        phases; plain values.
    """
    points = np.load(file)
    size = -(-len(points) // _MOST_POINTS) or 1
    pieces = [points[start : start + size] for start in range(0, len(points), size)]
    kept = np.array([piece[_highest(piece[:, 1])] for piece in pieces]).reshape(-1, 4)
    drawn: dict[str, Any] = {"seconds": _plain(kept[:, 0]), "mb": _plain(kept[:, 1])}
    if np.isfinite(points[:, 3]).any():
        drawn["gpu_mb"] = _plain(np.array([_most(piece[:, 3]) for piece in pieces]))
    drawn["marks"] = [[round(p["seconds"][1], _DIGITS), p["name"]] for p in phases]
    return drawn


def _highest(values: np.ndarray[Any, Any]) -> int:
    return int(np.argmax(np.nan_to_num(values, nan=-1.0)))


def _most(values: np.ndarray[Any, Any]) -> float:
    seen = values[np.isfinite(values)]
    return float(seen.max()) if len(seen) else float("nan")


def _plain(values: np.ndarray[Any, Any]) -> list[float | None]:
    return [round(float(v), _DIGITS) if np.isfinite(v) else None for v in values]
