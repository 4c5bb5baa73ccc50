"""Weights that hold NaN or infinite values."""

from __future__ import annotations

from typing import Any

import numpy as np


def not_finite(model: Any) -> tuple[str, ...]:
    """A warning for each weight of a live model that holds such values."""
    found = []
    for variable in model.weights:
        values = np.asarray(variable)
        words = what_is_not_finite(values)
        if words:
            found.append(f"Weight {variable.path!r} holds {words}.")
    return tuple(found)


def what_is_not_finite(values: np.ndarray[Any, Any]) -> str:
    """In words; empty when all values are finite."""
    if values.dtype.kind != "f":
        return ""
    with np.errstate(all="ignore"):
        if np.isfinite(values.sum()):  # which needs no copy
            return ""
    bad = int(values.size - np.isfinite(values).sum())
    kind = "NaN" if np.isnan(values).any() else "infinite values"
    return f"{kind}: {bad} of {values.size} values are not finite" if bad else ""
