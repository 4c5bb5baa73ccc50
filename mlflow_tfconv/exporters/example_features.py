"""The features that a graph reads from serialized examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from mlflow_tfconv.runtimes.graph_walk import GraphWalk
from mlflow_tfconv.runtimes.input_range import Feature

#: Values of a feature that may have any number of them.
_SOME = 3


def example_features(node: Any, strings: Callable[[str], list[str]]) -> dict[str, Feature]:
    """Name of each feature to what it holds.

    Args:
        node: A ParseExample, ParseExampleV2 or ParseSingleExample.
        strings: Gives the values of a constant tensor of strings.
    """
    dense, sparse = _keys(node, strings)
    shapes = [
        int(np.prod([size.size for size in shape.dim if size.size > 0], dtype=np.int64))
        for shape in node.attr["dense_shapes"].list.shape
    ]
    found = {
        name: Feature(dtype=_dtype(kind), count=count)
        for name, kind, count in zip(dense, node.attr["Tdense"].list.type, shapes, strict=False)
    }
    kinds = node.attr["sparse_types"].list.type
    found |= {
        name: Feature(dtype=_dtype(kind), count=_SOME)
        for name, kind in zip(sparse, kinds, strict=False)
    }
    return found


def feature_of(tensor: str, node: Any, strings: Callable[[str], list[str]]) -> str | None:
    """The name of the dense feature that a tensor of such a node holds, or None."""
    dense, sparse = _keys(node, strings)
    # The indices, values and shapes of all sparse features come first.
    place = int(tensor.partition(":")[2]) - 3 * len(sparse)
    return dense[place] if 0 <= place < len(dense) else None


def _keys(node: Any, strings: Callable[[str], list[str]]) -> tuple[Sequence[str], Sequence[str]]:
    """Names of the dense and of the sparse features."""
    inputs = GraphWalk.inputs(node)
    if node.op == "ParseExampleV2":  # serialized, names, sparse keys, dense keys, ...
        return strings(inputs[3]), strings(inputs[2])
    if node.op == "ParseSingleExample":
        attributes = node.attr
        return (
            [key.decode() for key in attributes["dense_keys"].list.s],
            [key.decode() for key in attributes["sparse_keys"].list.s],
        )
    # serialized, names, one input for each sparse key, then one for each dense key
    sparse, dense = node.attr["Nsparse"].i, node.attr["Ndense"].i
    keys = [(strings(tensor) or [""])[0] for tensor in inputs[2 : 2 + sparse + dense]]
    return keys[sparse:], keys[:sparse]


def _dtype(kind: int) -> str:
    return str(tf.as_dtype(kind).name)
