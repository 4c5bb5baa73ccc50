"""TensorFlow functions and operations that a Keras model calls between its layers.

A file names them; only those that compute, and touch nothing outside, are found by their names.
"""

from __future__ import annotations

import inspect
import json
from typing import Any

import keras
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.python.framework import op_def_registry

from mlflow_tfconv.runtimes.layers_of_old.activations import PACKAGE
from mlflow_tfconv.runtimes.layers_of_old.tensorflow_functions import known_function


def _special(value: dict[str, Any], put_in: Any) -> Any:
    """What JSON has no word for."""
    if value["class_name"] == "__ellipsis__":
        return Ellipsis
    return [put_in(item) for item in value.get("items") or []]  # a tuple or a shape


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
        self._operation = json_format.Parse(node, tf.compat.v1.NodeDef())
        if not is_pure(self._operation.op):
            raise ValueError(f"{self._operation.op} is no operation that only computes.")

    def call(self, inputs: Any) -> Any:
        """What the operation gives."""
        values = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
        for place, constant in sorted(self.constants.items(), key=lambda pair: int(pair[0])):
            values.insert(int(place), constant)
        return _called(self._operation, values)

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
    function = getattr(tf.raw_ops, node.op)
    renamed = _renamed(definition, function)
    return function(**{renamed.get(name, name): value for name, value in arguments.items()})


def _renamed(definition: Any, function: Any) -> dict[str, str]:
    """What `tf.raw_ops` calls an argument otherwise than the operation does.

    They stand in the same order: `reduction_indices` of Mean is `axis` there.
    """
    told = _told_by_inputs(definition)
    theirs = [one.name for one in (*definition.input_arg, *definition.attr) if one.name not in told]
    ours = [name for name in inspect.signature(function).parameters if name != "name"]
    unknown = [name for name in theirs if name not in ours]
    return dict(zip(unknown, [name for name in ours if name not in theirs], strict=True))


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
