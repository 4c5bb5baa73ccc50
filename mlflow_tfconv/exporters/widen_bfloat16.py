"""Has a graph compute in float32 what it computes in bfloat16.

tf2onnx takes bfloat16 for float16, and ONNX Runtime has hardly an operation for it on a CPU. Every
bfloat16 is a float32 too, so the values of weights stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
import tensorflow as tf

from mlflow_tfconv.exporters.frozen_graph import FrozenGraph

_NARROW, _WIDE = tf.bfloat16.as_datatype_enum, tf.float32.as_datatype_enum


def has_bfloat16(frozen: FrozenGraph) -> bool:
    """Whether anything in the graph or its functions is of this type."""
    return any(value.type == _NARROW or _NARROW in value.list.type for value in _attributes(frozen))


def widen_bfloat16(frozen: FrozenGraph) -> FrozenGraph:
    """The graph with float32 in its place; changed in place."""
    for value in _attributes(frozen):
        _widen(value)
    functions = frozen.graph_def.library.function
    for argument in chain.from_iterable(
        (*f.signature.input_arg, *f.signature.output_arg) for f in functions
    ):
        if argument.type == _NARROW:
            argument.type = _WIDE
    held = {name: array.astype(_wide(array.dtype)) for name, array in frozen.held.items()}
    return replace(frozen, held=held)


def _nodes(frozen: FrozenGraph) -> Iterable[Any]:
    return chain(
        frozen.graph_def.node,
        chain.from_iterable(f.node_def for f in frozen.graph_def.library.function),
    )


def _attributes(frozen: FrozenGraph) -> Iterator[Any]:
    for node in _nodes(frozen):
        yield from node.attr.values()


def _widen(value: Any) -> None:
    if value.type == _NARROW:
        value.type = _WIDE
    if _NARROW in value.list.type:
        value.list.type[:] = [_WIDE if kind == _NARROW else kind for kind in value.list.type]
    if value.HasField("tensor") and value.tensor.dtype == _NARROW:
        array = tf.make_ndarray(value.tensor)
        value.tensor.CopyFrom(tf.make_tensor_proto(array.astype(np.float32)))


def _wide(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(np.float32) if dtype == tf.bfloat16.as_numpy_dtype else dtype
