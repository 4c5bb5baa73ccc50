"""Functions of TensorFlow by the names that files give them; only those that compute are known."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

#: Parts of TensorFlow in which everything only computes.
_MODULES = ("math", "nn", "linalg", "image", "bitwise", "signal", "strings", "sets", "ragged",
            "sparse", "dtypes", "sort", "special")  # fmt: skip
_FUNCTIONS = frozenset(
    [
        "abs",
        "acos",
        "acosh",
        "add",
        "add_n",
        "argmax",
        "argmin",
        "argsort",
        "asin",
        "asinh",
        "atan",
        "atan2",
        "atanh",
        "batch_to_space",
        "bitcast",
        "boolean_mask",
        "broadcast_dynamic_shape",
        "broadcast_static_shape",
        "broadcast_to",
        "cast",
        "clip_by_norm",
        "clip_by_value",
        "complex",
        "concat",
        "constant",
        "convert_to_tensor",
        "cos",
        "cosh",
        "cumsum",
        "divide",
        "dynamic_partition",
        "dynamic_stitch",
        "edit_distance",
        "einsum",
        "ensure_shape",
        "equal",
        "exp",
        "expand_dims",
        "extract_volume_patches",
        "eye",
        "fill",
        "fingerprint",
        "floor",
        "foldl",
        "gather",
        "gather_nd",
        "greater",
        "greater_equal",
        "histogram_fixed_width",
        "identity",
        "identity_n",
        "is_tensor",
        "less",
        "less_equal",
        "linspace",
        "logical_and",
        "logical_not",
        "logical_or",
        "matmul",
        "matrix_square_root",
        "maximum",
        "meshgrid",
        "minimum",
        "multiply",
        "negative",
        "no_op",
        "norm",
        "not_equal",
        "one_hot",
        "ones",
        "ones_like",
        "pad",
        "parallel_stack",
        "pow",
        "range",
        "rank",
        "realdiv",
        "repeat",
        "required_space_to_batch_paddings",
        "reshape",
        "reduce_all",
        "reduce_any",
        "reduce_logsumexp",
        "reduce_max",
        "reduce_mean",
        "reduce_min",
        "reduce_prod",
        "reduce_sum",
        "reverse",
        "reverse_sequence",
        "roll",
        "round",
        "saturate_cast",
        "scalar_mul",
        "scatter_nd",
        "searchsorted",
        "sequence_mask",
        "shape",
        "shape_n",
        "sigmoid",
        "sign",
        "sin",
        "sinh",
        "size",
        "slice",
        "sort",
        "space_to_batch",
        "space_to_batch_nd",
        "split",
        "sqrt",
        "square",
        "squeeze",
        "stack",
        "stop_gradient",
        "strided_slice",
        "subtract",
        "tan",
        "tanh",
        "tensordot",
        "tensor_scatter_nd_add",
        "tensor_scatter_nd_max",
        "tensor_scatter_nd_min",
        "tensor_scatter_nd_sub",
        "tensor_scatter_nd_update",
        "tile",
        "transpose",
        "truediv",
        "truncatediv",
        "truncatemod",
        "unique",
        "unique_with_counts",
        "unravel_index",
        "unstack",
        "vectorized_map",
        "where",
        "zeros",
        "zeros_like",
    ]
)
_REFUSED_PARTS = ("decode", "encode", "read", "write", "file", "py_func", "map_fn", "load")


def known_function(name: str) -> Any:
    """The function of a name such as "math.add" or "__operators__.add"; None when not known."""
    name = name.removeprefix("tf.").removeprefix("compat.v1.").removeprefix("compat.v2.")
    if name in _BY_NAME:
        return _BY_NAME[name]
    parts = name.split(".")
    if any(part.startswith("_") or any(word in part for word in _REFUSED_PARTS) for part in parts):
        return None
    if not (parts[0] in _MODULES if len(parts) > 1 else parts[0] in _FUNCTIONS):
        return None
    found: Any = tf
    for part in parts:
        found = getattr(found, part, None)
    return found if callable(found) and not isinstance(found, type) else None


def _item(tensor: Any, slice_spec: Any) -> Any:
    return tensor[_slices(slice_spec)]


def _slices(spec: Any) -> Any:
    """A dict of start, stop and step was a slice; so was every dict inside a list of them."""
    if isinstance(spec, dict):
        return slice(spec.get("start"), spec.get("stop"), spec.get("step"))
    if isinstance(spec, list | tuple):
        return tuple(_slices(one) for one in spec)
    return spec


def _turned(function: Any) -> Any:
    return lambda x, y: function(y, x)


_OPERATORS = {
    "add": tf.add, "sub": tf.subtract, "mul": tf.multiply, "truediv": tf.truediv,
    "div": tf.truediv, "floordiv": tf.math.floordiv, "mod": tf.math.floormod, "pow": tf.pow,
    "matmul": tf.matmul, "and": tf.logical_and, "or": tf.logical_or, "xor": tf.math.logical_xor,
}  # fmt: skip
_BY_NAME: dict[str, Any] = {
    **{f"__operators__.{name}": function for name, function in _OPERATORS.items()},
    **{f"__operators__.r{name}": _turned(function) for name, function in _OPERATORS.items()},
    "__operators__.getitem": _item,
    "__operators__.eq": tf.equal,
    "__operators__.ne": tf.not_equal,
    "__operators__.lt": tf.less,
    "__operators__.le": tf.less_equal,
    "__operators__.gt": tf.greater,
    "__operators__.ge": tf.greater_equal,
    "__operators__.neg": tf.negative,
    "__operators__.abs": tf.abs,
    "__operators__.invert": tf.logical_not,
}
