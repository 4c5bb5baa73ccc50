"""NaN and infinite values among weights: TensorFlow loads them without a word."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from mlflow_tfconv.sources.graph.graph_source import GraphSource

Array = np.ndarray[Any, Any]

#: Values looked at in one go, so that no copy of a big weight is made.
_CHUNK = 1 << 22


def not_finite(name: str, value: Array) -> str | None:
    """What is to be said of a variable's value that is not finite everywhere; None of a good one."""
    if value.dtype.kind not in "fcV":  # V: bfloat16 and the like
        return None
    nans = infinities = 0
    flat = value.reshape(-1)
    for start in range(0, flat.size, _CHUNK):
        part = flat[start : start + _CHUNK]
        if value.dtype.kind == "V":
            part = part.astype(np.float32)
        if not np.isfinite(part).all():
            nans += int(np.isnan(part).sum())
            infinities += int(np.isinf(part).sum())
    if not nans and not infinities:
        return None
    counts = [f"{nans:,} NaN" if nans else "", f"{infinities:,} inf" if infinities else ""]
    found = " and ".join(count for count in counts if count)
    return f"Variable {name} holds {found} among its {flat.size:,} values."


def not_finite_weights(source: GraphSource, variables: Iterable[str]) -> tuple[str, ...]:
    """A warning for each of the variables whose stored value is not finite everywhere.

    Each value is read once, and not kept.
    """
    found = (not_finite(name, source.weights[name].read()) for name in variables)
    return tuple(warning for warning in found if warning is not None)
