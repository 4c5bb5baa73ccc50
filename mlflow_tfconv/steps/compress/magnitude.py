"""Which layers are pruned, and which of their weights are the smallest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlflow_tfconv.errors import CompressionError
from mlflow_tfconv.steps.compress.config import PruneConfig
from mlflow_tfconv.steps.compress.patterns import matched


def chosen_names(config: PruneConfig, names: Sequence[str], what: str) -> set[str]:
    """Those of the names that are to be pruned.

    Args:
        config: What was asked.
        names: Of all layers, or nodes, with weights worth pruning.
        what: What they are called, such as "layers".

    Raises:
        CompressionError: There are none, none is left, or a pattern matches none.
    """
    if not names:
        raise CompressionError(
            "The model has no weights worth pruning.",
            expected="kernels of convolutions, dense layers, recurrent cells or embeddings",
            fix="Take `prune` out of this variant.",
        )
    chosen = matched(config.layers, names, what) - matched(config.exclude, names, what)
    if not chosen:
        raise CompressionError(
            f"`prune.exclude` leaves none of the {what} to prune.",
            received=f"layers: {', '.join(config.layers)}; exclude: {', '.join(config.exclude)}",
            expected=f"some of {', '.join(names)}",
            fix="Exclude less, or take `prune` out of this variant.",
        )
    return chosen


def zeros_for(size: int, sparsity: float) -> int:
    """How many of `size` weights a sparsity makes zero, counted as tfmot does; one stays."""
    return size - max(round(size * (1 - sparsity)), 1)


def without_smallest(weights: np.ndarray[Any, Any], sparsity: float) -> np.ndarray[Any, Any]:
    """A copy with exactly the share `sparsity` at zero (more, if more were zero before).

    Among weights of equal magnitude the first go first.
    """
    flat = weights.reshape(-1).copy()
    order = np.argsort(np.abs(flat), kind="stable")
    flat[order[: zeros_for(flat.size, sparsity)]] = 0
    return flat.reshape(weights.shape)
