"""TensorFlow functions and operations that a Keras model calls between its layers.

A file names them; only those that compute, and touch nothing outside, are found by their names.
"""

from __future__ import annotations

import json
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from mlflow_tfconv.runtimes.layers_of_old.activations import PACKAGE

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


def _special(value: dict[str, Any], put_in: Any) -> Any:
    """What JSON has no word for."""
    if value["class_name"] == "__ellipsis__":
        return Ellipsis
    return [put_in(item) for item in value.get("items") or []]  # a tuple or a shape


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


@keras.saving.register_keras_serializable(PACKAGE)
class TensorFlowFunction(keras.layers.Layer):  # type: ignore[misc]
    """A function of TensorFlow, called with what the file says.

    Args:
        function: Its name, such as "math.add"; `known_function` must know it.
        given: What it is called with, as JSON has it: `[first, {name: value}]`, where
            `{"tensor": n}` stands for the n-th tensor that the layer takes.
        arguments: Those of every layer.
    """

    def __init__(self, function: str, given: Any = None, **arguments: Any) -> None:
        super().__init__(autocast=False, **arguments)
        self.function, self.given = function, given
        self._compute = known_function(function)
        if self._compute is None:
            raise ValueError(f"{function} is no function that can be called by its name.")

    def called_with(self, first: Any, keywords: Any) -> Any:
        """What the layer gives for these; from then on it is called so."""
        tensors: list[Any] = []

        def kept(value: Any) -> Any:
            if isinstance(value, keras.KerasTensor):
                tensors.append(value)
                return {"tensor": len(tensors) - 1}
            if isinstance(value, list | tuple):
                return [kept(item) for item in value]
            if isinstance(value, dict):
                return {key: kept(item) for key, item in value.items()}
            return value

        self.given = [kept(first), kept(keywords)]
        return self(tensors)

    def call(self, tensors: Any) -> Any:
        """What the function gives for the tensors, and for what it was called with besides."""

        def put_in(value: Any) -> Any:
            if isinstance(value, list | tuple):
                return [put_in(item) for item in value]
            if isinstance(value, dict) and set(value) == {"tensor"}:
                return tensors[value["tensor"]]
            if isinstance(value, dict) and "class_name" in value:
                return _special(value, put_in)
            if isinstance(value, dict):
                return {key: put_in(item) for key, item in value.items()}
            return value

        first, keywords = put_in(self.given)
        if isinstance(keywords.get("dtype"), str):
            keywords["dtype"] = tf.as_dtype(keywords["dtype"])
        return self._compute(first, **keywords)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        own = {"function": self.function, "given": self.given}
        return {**_base(super().get_config()), **own}


@keras.saving.register_keras_serializable(PACKAGE)
class TensorFlowOperation(keras.layers.Layer):  # type: ignore[misc]
    """One node of a TensorFlow graph, as TensorFlow 2.0 to 2.3 kept those between layers.

    Args:
        node: The NodeDef in JSON: operation, and attributes.
        constants: Place among the inputs to the value of each that is constant.
        arguments: Those of every layer.
    """

    def __init__(self, node: str, constants: dict[str, Any], **arguments: Any) -> None:
        super().__init__(autocast=False, **arguments)
        self.node, self.constants = node, {str(k): v for k, v in constants.items()}

    def call(self, inputs: Any) -> Any:
        """What the operation gives."""
        node = tf.compat.v1.NodeDef()
        from google.protobuf import json_format

        json_format.Parse(self.node, node)
        values = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
        for place, constant in sorted(self.constants.items(), key=lambda pair: int(pair[0])):
            values.insert(int(place), constant)
        return _called(node, values)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        own = {"node": self.node, "constants": self.constants}
        return {**_base(super().get_config()), **own}


def _base(config: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name != "autocast"}


def _called(node: Any, values: list[Any]) -> Any:
    definition = op_def_registry.get(node.op)
    arguments: dict[str, Any] = {}
    rest = list(values)
    for argument in definition.input_arg:
        counted = argument.number_attr or argument.type_list_attr
        if counted:
            taken = node.attr[counted].i if argument.number_attr else len(rest)
            arguments[argument.name], rest = rest[:taken], rest[taken:]
        else:
            dtype = node.attr[argument.type_attr].type if argument.type_attr else argument.type
            arguments[argument.name] = tf.convert_to_tensor(rest.pop(0), tf.as_dtype(dtype))
    from_inputs = _told_by_inputs(definition)
    for attribute in definition.attr:
        if attribute.name in node.attr and attribute.name not in from_inputs:
            arguments[attribute.name] = _value(node.attr[attribute.name])
    return getattr(tf.raw_ops, node.op)(**arguments)


def _told_by_inputs(definition: Any) -> set[str]:
    named = set()
    for argument in definition.input_arg:
        named |= {argument.type_attr, argument.number_attr, argument.type_list_attr}
    return named


def _value(attribute: Any) -> Any:
    """An AttrValue as a Python value."""
    kind = attribute.WhichOneof("value")
    value = getattr(attribute, kind)
    if kind == "type":
        return tf.as_dtype(value)
    if kind == "s":
        return value
    if kind == "shape":
        return tf.TensorShape(value)
    if kind == "tensor":
        return tf.make_ndarray(value)
    if kind == "list":
        filled = [items for _, items in value.ListFields()]
        return list(filled[0]) if filled else []
    return value


def is_pure(operation: str) -> bool:
    """Whether an operation only computes: it has no state, and is of TensorFlow's own."""
    definition = op_def_registry.get(operation)
    named = operation.lower()
    touches = any(word in named for word in ("read", "write", "file", "pyfunc", "save", "restore"))
    return definition is not None and not definition.is_stateful and not touches


def node_from_text(text: Any) -> str:
    """A NodeDef as JSON, from JSON or from the dict of it."""
    return text if isinstance(text, str) else json.dumps(text)
