"""Magnitude pruning of an ONNX model at once, without fine-tuning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import numpy_helper

from mlflow_tfconv.steps.compress.config import PruneConfig
from mlflow_tfconv.steps.compress.magnitude import chosen_names, without_smallest
from mlflow_tfconv.steps.compress.onnx_files import read_onnx, write_onnx
from mlflow_tfconv.steps.compress.onnx_weights import Weight, weights_of


def prune_once(source: Path, output: Path, config: PruneConfig) -> dict[str, int]:
    """Writes `source` with the smallest weights of each kernel set to zero.

    Patterns are matched against the names of the nodes. Depthwise kernels, which are small and
    needed, stay.

    Returns:
        Name of each pruned weight to its number of zeros.

    Raises:
        CompressionError: There are no weights worth pruning, or a pattern matches no node.
    """
    model = read_onnx(source)
    candidates = [weight for weight in weights_of(model) if not _is_depthwise(weight)]
    chosen = chosen_names(config, [weight.node.name for weight in candidates], "nodes")
    zeros = {w.tensor.name: _prune(w, config.sparsity) for w in candidates if w.node.name in chosen}
    write_onnx(model, output)
    return zeros


def _prune(weight: Weight, sparsity: float) -> int:
    pruned = without_smallest(weight.array, sparsity)
    weight.tensor.CopyFrom(numpy_helper.from_array(pruned, weight.tensor.name))
    return int(np.count_nonzero(pruned == 0))


def _is_depthwise(weight: Weight) -> bool:
    grouped = any(a.name == "group" and a.i > 1 for a in weight.node.attribute)
    return grouped and weight.tensor.dims[1] == 1
