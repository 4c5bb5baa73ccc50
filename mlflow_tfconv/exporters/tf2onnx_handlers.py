"""Operations of TensorFlow that tf2onnx has no (right) handler for, in operations of ONNX.

A handler gets the graph of tf2onnx, the node, its name and the version of its operation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlflow_tfconv.exporters.transposed_convolution import transposed_convolution

#: Types of ONNX: float, int64, bool, double.
_FLOAT, _INT64, _BOOL, _DOUBLE = 1, 7, 9, 11
_LOWEST = {6: -(2**31), 7: -(2**63)}

Handler = Callable[[Any, Any, str, Any], None]


def _erfc(graph: Any, node: Any, *_: Any) -> None:
    """erfc(x) = 1 - erf(x): the exact GELU of Keras."""
    dtype = graph.get_dtype(node.output[0])
    one = _constant(graph, node, "one", np.ones((), _numpy(dtype)))
    erf = _make(graph, "Erf", [node.input[0]], dtype, node)
    _replace(graph, node, "Sub", [one, erf], dtype)


def _expm1(graph: Any, node: Any, *_: Any) -> None:
    """exp(x) - 1 = tanh(x / 2) * (exp(x) + 1), which is exact near zero too."""
    dtype = graph.get_dtype(node.output[0])
    one, two = (
        _constant(graph, node, name, np.array(value, _numpy(dtype)))
        for name, value in (("one", 1), ("two", 2))
    )
    half = _make(graph, "Div", [node.input[0], two], dtype, node)
    factor = _make(graph, "Tanh", [half], dtype, node)
    power = _make(graph, "Exp", [node.input[0]], dtype, node)
    _replace(graph, node, "Mul", [factor, _make(graph, "Add", [power, one], dtype, node)], dtype)


def _log1p(graph: Any, node: Any, *_: Any) -> None:
    """log(1 + x) = x * log(u) / (u - 1) with u = 1 + x as rounded, and x where u is 1.

    Goldberg, What Every Computer Scientist Should Know About Floating-Point Arithmetic, theorem 4.
    """
    dtype, x = graph.get_dtype(node.output[0]), node.input[0]
    one = _constant(graph, node, "one", np.ones((), _numpy(dtype)))
    total = _make(graph, "Add", [x, one], dtype, node)
    tiny = _make(graph, "Equal", [total, one], _BOOL, node)
    rounded = _make(graph, "Sub", [total, one], dtype, node)
    safe = _make(graph, "Where", [tiny, one, rounded], dtype, node)
    ratio = _make(graph, "Div", [x, safe], dtype, node)
    logarithm = _make(graph, "Log", [total], dtype, node)
    infinite = _make(graph, "Equal", [total, logarithm], _BOOL, node)  # of infinity
    product = _make(graph, "Mul", [logarithm, ratio], dtype, node)
    known = _make(graph, "Where", [infinite, x, product], dtype, node)
    _replace(graph, node, "Where", [tiny, x, known], dtype)


def _broadcast_args(graph: Any, node: Any, *_: Any) -> None:
    """The shape that two shapes broadcast to.

    Raises:
        ValueError: It is not known how many dimensions they have.
    """
    ranks = [(graph.get_shape(name) or [-1])[0] for name in node.input]
    if min(ranks) < 0:
        raise ValueError(f"BroadcastArgs {node.name}: the rank of a shape is not known")
    dtype = graph.get_dtype(node.output[0])
    integer = np.int64 if dtype == _INT64 else np.int32
    shapes = []
    for n, (name, rank) in enumerate(zip(node.input, ranks, strict=True)):
        ones = _constant(graph, node, f"ones{n}", np.ones(max(ranks) - rank, integer))
        shapes.append(_make(graph, "Concat", [ones, name], dtype, node, shaped=False, axis=0))
    one = _constant(graph, node, "one", np.ones((), integer))
    stretched = _make(graph, "Equal", [shapes[0], one], _BOOL, node, shaped=False)
    _replace(graph, node, "Where", [stretched, shapes[1], shapes[0]], dtype)


def _bound(comparison: str) -> Handler:
    def count(graph: Any, node: Any, *_: Any) -> None:
        """How many of a sorted row are below (or not above) each value of a row."""
        ordered, values = node.input[:2]
        axes = [_constant(graph, node, f"axis{n}", np.array([n], np.int64)) for n in (1, 2)]
        dtype = graph.get_dtype(values)
        row = _make(graph, "Unsqueeze", [ordered, axes[0]], dtype, node, shaped=False)
        column = _make(graph, "Unsqueeze", [values, axes[1]], dtype, node, shaped=False)
        reached = _make(graph, comparison, [row, column], _BOOL, node, shaped=False)
        counted = _make(graph, "Cast", [reached], _INT64, node, shaped=False, to=_INT64)
        summed = [counted, axes[1]]
        total = _make(graph, "ReduceSum", summed, _INT64, node, shaped=False, keepdims=0)
        out = graph.get_dtype(node.output[0])
        _replace(graph, node, "Cast", [total], out, to=out)

    return count


def _bucketize(graph: Any, node: Any, *_: Any) -> None:
    """The number of boundaries that are not above a value: the Discretization of Keras."""
    boundaries = np.array(node.get_attr_value("boundaries"), np.float32)
    value = _make(graph, "Cast", [node.input[0]], _FLOAT, node, to=_FLOAT)
    last = _constant(graph, node, "last", np.array([-1], np.int64))
    column = _make(graph, "Unsqueeze", [value, last], _FLOAT, node, shaped=False)
    row = _constant(graph, node, "boundaries", boundaries)
    reached = _make(graph, "GreaterOrEqual", [column, row], _BOOL, node, shaped=False)
    counted = _make(graph, "Cast", [reached], _INT64, node, shaped=False, to=_INT64)
    total = _make(graph, "ReduceSum", [counted, last], _INT64, node, keepdims=0)
    dtype = graph.get_dtype(node.output[0])
    _replace(graph, node, "Cast", [total], dtype, to=dtype)


def _bitcast(graph: Any, node: Any, *_: Any) -> None:
    """A float's bits, of which only that of the sign is taken: Keras asks for it in argmax.

    Raises:
        ValueError: Other bits are taken too; ONNX can't look at them.
    """
    dtype, target = graph.get_dtype(node.input[0]), graph.get_dtype(node.output[0])
    consumers = graph.find_output_consumers(node.output[0])
    signs = [_takes_sign(consumer, target) for consumer in consumers]
    if dtype not in (_FLOAT, _DOUBLE) or target not in _LOWEST or not all(signs):
        raise ValueError(f"Bitcast {node.name}: ONNX can't look at the bits of a number")
    x = node.input[0]
    zero = _constant(graph, node, "zero", np.zeros((), _numpy(dtype)))
    one = _constant(graph, node, "one", np.ones((), _numpy(dtype)))
    below = _make(graph, "Less", [x, zero], _BOOL, node)
    is_zero = _make(graph, "Equal", [x, zero], _BOOL, node)
    inverse = _make(graph, "Div", [one, x], dtype, node)  # -inf of the negative zero
    negative = _make(graph, "Less", [inverse, zero], _BOOL, node)
    both = _make(graph, "And", [is_zero, negative], _BOOL, node)
    sign = _make(graph, "Or", [below, both], _BOOL, node)
    integer = np.int64 if target == _INT64 else np.int32
    lowest = _constant(graph, node, "lowest", np.array(_LOWEST[target], integer))
    none = _constant(graph, node, "none", np.zeros((), integer))
    _replace(graph, node, "Where", [sign, lowest, none], target)


def _takes_sign(node: Any, dtype: int) -> bool:
    masks = [i.get_tensor_value(as_list=False) for i in node.inputs if i.is_const()]
    return node.type == "BitwiseAnd" and any(
        np.size(mask) == 1 and int(np.reshape(mask, ())) == _LOWEST[dtype] for mask in masks
    )


def _bitwise_and(graph: Any, node: Any, *_: Any) -> None:
    """Of numbers that have no bit but that of the sign, with this bit.

    Raises:
        ValueError: It is of other numbers.
    """
    dtype = graph.get_dtype(node.output[0])
    if dtype not in _LOWEST or not _takes_sign(node, dtype):
        raise ValueError(f"BitwiseAnd {node.name}: ONNX has it from opset 18 on")
    number = next(name for name, i in zip(node.input, node.inputs, strict=True) if not i.is_const())
    _replace(graph, node, "Identity", [number], dtype)


def _numpy(dtype: int) -> Any:
    return np.float64 if dtype == _DOUBLE else np.float32


def _constant(graph: Any, node: Any, name: str, value: Any) -> str:
    return str(graph.make_const(f"{node.name}_{name}", value).output[0])


def _make(
    graph: Any,
    op: str,
    inputs: Sequence[str],
    dtype: int,
    node: Any,
    *,
    shaped: bool = True,
    **attributes: Any,
) -> str:
    """A new node; `shaped` says that its result has the shape of the node's input."""
    shapes = [graph.get_shape(node.input[0])] if shaped else None
    made = graph.make_node(op, list(inputs), dtypes=[dtype], shapes=shapes, attr=attributes)
    return str(made.output[0])


def _replace(
    graph: Any, node: Any, op: str, inputs: Sequence[str], dtype: int, **attributes: Any
) -> None:
    shape = graph.get_shape(node.output[0])
    graph.remove_node(node.name)
    graph.make_node(
        op,
        list(inputs),
        outputs=[node.output[0]],
        name=node.name,
        dtypes=[dtype],
        shapes=[shape],
        attr=attributes,
    )


#: TensorFlow operation to its handler, as tf2onnx takes them.
OPERATIONS: dict[str, tuple[Handler, list[Any]]] = {
    "Bitcast": (_bitcast, []),
    "BitwiseAnd": (_bitwise_and, []),
    "BroadcastArgs": (_broadcast_args, []),
    "Bucketize": (_bucketize, []),
    "Conv2DBackpropInput": (transposed_convolution, []),
    "Conv3DBackpropInputV2": (transposed_convolution, []),
    "Erfc": (_erfc, []),
    "Expm1": (_expm1, []),
    "Log1p": (_log1p, []),
    "LowerBound": (_bound("Less"), []),
    "UpperBound": (_bound("LessOrEqual"), []),
}
