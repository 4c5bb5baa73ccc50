"""What a SavedModel's function takes and gives, read from its message without loading it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from mlflow_tfconv.runtimes.names import tidy_names
from mlflow_tfconv.runtimes.saved_object_graph import SavedObjectGraph


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointTensor:
    """An input or output of a function.

    Attributes:
        key: Its name there: a signature's key, an argument, or "output_0".
        name: The name that the converted model has.
        dtype: TensorFlow's name of the type.
        shape: None where a size varies; None as a whole when the rank is unknown.
    """

    key: str
    name: str
    dtype: str
    shape: tuple[int | None, ...] | None

    def __str__(self) -> str:
        """In words."""
        sizes = "any shape" if self.shape is None else _sizes(self.shape)
        return f"{self.name}: {self.dtype} {sizes}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A function of a SavedModel that can be the model.

    Attributes:
        key: The signature's key, or the path of a function such as "encoder.__call__".
        node_id: Its node in the object graph.
        function: Name of the concrete function.
        inputs: What it takes, in the order of its arguments.
        outputs: What it gives, in order.
        training: Whether it was traced for training.
    """

    key: str
    node_id: int
    function: str
    inputs: tuple[EndpointTensor, ...]
    outputs: tuple[EndpointTensor, ...]
    training: bool = False

    def __str__(self) -> str:
        """In words, as a function."""
        given, taken = (", ".join(map(str, tensors)) for tensors in (self.outputs, self.inputs))
        return f"{self.key}({taken}) -> ({given})"


def endpoints(objects: SavedObjectGraph, key: str, node_id: int) -> list[Endpoint]:
    """The concrete functions of a node, those for inference and for any batch first."""
    definitions = {f.signature.name: f for f in objects.meta_graph.graph_def.library.function}
    found = [
        _endpoint(objects, key, node_id, definitions[name])
        for name in objects.concrete_functions(node_id)
        if name in definitions
    ]
    return sorted(found, key=lambda endpoint: (endpoint.training, _fixed_sizes(endpoint)))


def _endpoint(objects: SavedObjectGraph, key: str, node_id: int, definition: Any) -> Endpoint:
    name = definition.signature.name
    saved = objects.functions[name]
    count = len(definition.signature.input_arg) - len(saved.bound_inputs)
    arguments = [_of_argument(definition, place) for place in range(count)]
    results = [_of_result(n, arg) for n, arg in enumerate(definition.signature.output_arg)]
    inputs = list(_leaves(saved.canonicalized_input_signature, ""))
    outputs = list(_leaves(saved.output_signature, "output"))
    return Endpoint(
        key=key,
        node_id=node_id,
        function=name,
        inputs=_tensors(inputs if _fits(inputs, arguments) else arguments),
        outputs=_tensors(_numbered(outputs) if _fits(outputs, results) else results),
        training=_for_training(saved.canonicalized_input_signature),
    )


@dataclass(frozen=True, slots=True)
class _Leaf:
    key: str
    own: str  # the name that the tensor itself has
    dtype: int
    shape: Any  # a TensorShapeProto, None when it is not known


def _fits(leaves: Sequence[_Leaf], arguments: Sequence[_Leaf]) -> bool:
    return [leaf.dtype for leaf in leaves] == [argument.dtype for argument in arguments]


def _leaves(value: Any, key: str) -> Iterator[_Leaf]:
    """The tensors in a structure, in the order in which TensorFlow flattens it."""
    kind = value.WhichOneof("kind")
    if kind in ("tensor_spec_value", "bounded_tensor_spec_value"):
        spec = getattr(value, kind)
        yield _Leaf(key or spec.name, spec.name, spec.dtype, spec.shape)
    elif kind == "dict_value":
        for name in sorted(value.dict_value.fields):
            yield from _leaves(value.dict_value.fields[name], name)
    elif kind == "named_tuple_value":
        for pair in value.named_tuple_value.values:
            yield from _leaves(pair.value, pair.key)
    elif kind in ("tuple_value", "list_value"):
        items = getattr(value, kind).values
        for item in items:
            yield from _leaves(item, key)
    elif kind == "type_spec_value":  # a ragged or sparse tensor: several tensors, told elsewhere
        yield _Leaf(key, "", 0, None)


def _of_argument(definition: Any, place: int) -> _Leaf:
    """What the function's own definition says of an argument."""
    argument = definition.signature.input_arg[place]
    attributes = definition.arg_attr[place].attr if place in definition.arg_attr else {}
    named = (
        attributes["_user_specified_name"].s.decode()
        if "_user_specified_name" in attributes
        else ""
    )
    shapes = attributes["_output_shapes"].list.shape if "_output_shapes" in attributes else ()
    shape = shapes[0] if shapes else None
    return _Leaf(named.rsplit("/", 1)[-1] or argument.name, named, argument.type, shape)


def _of_result(place: int, argument: Any) -> _Leaf:
    return _Leaf(f"output_{place}", "", argument.type, None)


def _numbered(leaves: list[_Leaf]) -> list[_Leaf]:
    """Outputs without a name of their own get the one that TensorFlow gives them."""
    return [
        _Leaf(f"output_{n}", "", leaf.dtype, leaf.shape) if leaf.key == "output" else leaf
        for n, leaf in enumerate(leaves)
    ]


def _tensors(leaves: Sequence[_Leaf]) -> tuple[EndpointTensor, ...]:
    names = tidy_names([_own_name(leaf) for leaf in leaves])
    return tuple(
        EndpointTensor(
            key=leaf.key,
            name=name,
            dtype=tf.dtypes.as_dtype(leaf.dtype).name,
            shape=_shape(leaf.shape),
        )
        for leaf, name in zip(leaves, names, strict=True)
    )


def _own_name(leaf: _Leaf) -> str:
    """The source's own name of an input: TensorFlow makes Python keywords of signatures' keys."""
    same = leaf.own and re.sub(r"\W", "_", leaf.own) == leaf.key.removeprefix("arg_")
    return leaf.own if same else leaf.key


def _shape(shape: Any) -> tuple[int | None, ...] | None:
    if shape is None or shape.unknown_rank:
        return None
    return tuple(None if dim.size < 0 else dim.size for dim in shape.dim)


def _for_training(signature: Any) -> bool:
    """Whether an argument that is no tensor is True: `training`, the only one Keras has."""
    values = signature.tuple_value.values
    if len(values) != 2:
        return False
    literals = [*values[0].tuple_value.values, *values[1].dict_value.fields.values()]
    return any(value.WhichOneof("kind") == "bool_value" and value.bool_value for value in literals)


def _fixed_sizes(endpoint: Endpoint) -> int:
    shapes = [tensor.shape for tensor in endpoint.inputs if tensor.shape is not None]
    return sum(size is not None for shape in shapes for size in shape)


def _sizes(shape: tuple[int | None, ...]) -> str:
    return f"({', '.join('any' if size is None else str(size) for size in shape)})"
