"""The part of a SavedModel that one of its functions needs, loaded alone.

A SavedModel that Keras 2 wrote holds every layer's functions for training and for inference, the
optimizer with its slots, and objects of classes that may not exist any more. Nothing of it is
loaded: what the chosen function does not need is taken out of the message, and TensorFlow loads
what is left.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.runtimes.saved_object_graph import SavedObjectGraph
from mlflow_tfconv.sources.saved_model.endpoint import Endpoint
from mlflow_tfconv.sources.saved_model.reached_functions import reached_functions

_GENERIC = "_generic_user_object"
_ENDPOINT = "converted_function"


@dataclass(frozen=True, slots=True)
class LoadedPart:
    """A function with what it needs.

    Attributes:
        function: The `ConcreteFunction`. It takes `argument_00000`, ... and gives `result_00000`, ...
            in the order of the endpoint's inputs and outputs.
        objects: Node to object: the variables, tables and assets it needs.
        root: What the objects hang on, under the names that the checkpoint knows them by.
    """

    function: Any
    objects: Mapping[int, Any]
    root: Any


def argument_key(place: int) -> str:
    """Name of an argument of a loaded part's function; the order of names is that of places."""
    return f"argument_{place:05d}"


def result_key(place: int) -> str:
    """Name of a result of a loaded part's function."""
    return f"result_{place:05d}"


def needed_objects(objects: SavedObjectGraph, endpoint: Endpoint) -> list[int]:
    """The variables, tables, constants and assets that a function needs: places of nodes."""
    return sorted(
        node_id
        for node_id in objects.needed([endpoint.function])
        if not objects.concrete_functions(node_id) and node_id
    )


def loaded_part(
    objects: SavedObjectGraph, endpoint: Endpoint, path: Path, *, restored: bool
) -> LoadedPart:
    """Loads a function and what it needs.

    Args:
        objects: The SavedModel's objects.
        endpoint: The function.
        path: The SavedModel's folder.
        restored: Whether variables and tables get their values from the checkpoint. Without, the
            variables are not initialized and take no memory.

    Raises:
        ConversionError: An operation is not known to this TensorFlow, or it can't load the part.
    """
    message = saved_model_part(objects, endpoint, path)
    _require_known_operations(message.meta_graphs[0], path)
    options = tf.saved_model.LoadOptions(experimental_skip_checkpoint=not restored)
    with tempfile.TemporaryDirectory(prefix="saved-model-part-") as folder:
        part = Path(folder)
        (part / "saved_model.pb").write_bytes(message.SerializeToString())
        if restored and (path / "variables").is_dir():
            (part / "variables").symlink_to((path / "variables").resolve())
        try:
            root = tf.saved_model.load(folder, options=options)
        except Exception as error:  # a message from outside makes it raise anything
            raise ConversionError(
                "TensorFlow can't load this SavedModel: it is damaged, or made by another version.",
                received=f"{path}: {type(error).__name__}: {_first_line(error, folder, path)}",
                expected="a SavedModel with all of its files, as it was written",
                fix="Check that saved_model.pb, variables/variables.index and all "
                "variables/variables.data-* files were copied completely.",
            ) from error
    needed = needed_objects(objects, endpoint)
    found = {node_id: getattr(root, _name_of(node_id), None) for node_id in needed}
    return LoadedPart(function=getattr(root, _ENDPOINT), objects=found, root=root)


def _first_line(error: Exception, folder: str, path: Path) -> str:
    lines = str(error).replace(folder, str(path)).strip().splitlines()
    return lines[0][:500] if lines else ""


def _name_of(node_id: int) -> str:
    return f"converted_object_{node_id}"


def saved_model_part(objects: SavedObjectGraph, endpoint: Endpoint, path: Path) -> Any:
    """The `SavedModel` message without what the function does not need.

    Every node keeps its place and the names of its children, by which the checkpoint knows it.
    """
    meta_graph = objects.meta_graph
    called = _called(objects, endpoint)
    needed = objects.needed(called) | {endpoint.node_id}
    functions = reached_functions(meta_graph.graph_def.library, called)
    message = saved_model_pb2.SavedModel(saved_model_schema_version=1)
    part = message.meta_graphs.add()
    part.meta_info_def.CopyFrom(meta_graph.meta_info_def)
    _copy_library(meta_graph.graph_def, part.graph_def, functions)
    _copy_constants(objects, part.graph_def, needed)
    for asset in meta_graph.asset_file_def:
        copied = part.asset_file_def.add()
        copied.CopyFrom(asset)
        copied.filename = str((path / "assets" / asset.filename).resolve())
    _copy_nodes(objects, part.object_graph_def, needed)
    for name in called:  # those that these call get what they need from their callers
        part.object_graph_def.concrete_functions[name].CopyFrom(objects.functions[name])
    _make_endpoint(part.object_graph_def, endpoint)
    for node_id in needed_objects(objects, endpoint):
        part.object_graph_def.nodes[0].children.add(local_name=_name_of(node_id), node_id=node_id)
    return message


def _called(objects: SavedObjectGraph, endpoint: Endpoint) -> set[str]:
    """Names of the concrete functions that are called from outside: by the user, by a table, or
    when a gradient is asked for.
    """
    library = objects.meta_graph.graph_def.library
    gradients = {gradient.gradient_func for gradient in library.registered_gradients}
    called, before = {endpoint.function}, set[str]()
    while called != before:
        before = set(called)
        called |= gradients & reached_functions(library, called)
        for node_id in objects.needed(called) - {endpoint.node_id}:
            called.update(objects.concrete_functions(node_id))
            node = objects.nodes[node_id]
            if node.WhichOneof("kind") == "captured_tensor":
                called.add(node.captured_tensor.concrete_function)
        called &= set(objects.functions)
    return called


def _copy_library(graph_def: Any, part: Any, functions: set[str]) -> None:
    part.versions.CopyFrom(graph_def.versions)
    library = graph_def.library
    part.library.function.extend(f for f in library.function if f.signature.name in functions)
    part.library.gradient.extend(
        g for g in library.gradient if {g.function_name, g.gradient_func} <= functions
    )
    part.library.registered_gradients.extend(
        g for g in library.registered_gradients if g.gradient_func in functions
    )


def _copy_constants(objects: SavedObjectGraph, part: Any, needed: Iterable[int]) -> None:
    kept = [objects.nodes[n] for n in needed]
    wanted = {n.constant.operation for n in kept if n.WhichOneof("kind") == "constant"}
    part.node.extend(node for node in objects.meta_graph.graph_def.node if node.name in wanted)


def _copy_nodes(objects: SavedObjectGraph, part: Any, needed: set[int]) -> None:
    for node_id, node in enumerate(objects.nodes):
        copied = part.nodes.add()
        if node_id in needed and node_id:
            copied.CopyFrom(node)
            copied.ClearField("slot_variables")
            continue
        copied.user_object.identifier = _GENERIC
        copied.user_object.version.producer = 1
        copied.user_object.version.min_consumer = 1
        copied.children.extend(node.children)


def _make_endpoint(part: Any, endpoint: Endpoint) -> None:
    """Makes the function one of named tensors, whatever structures it had."""
    node = part.nodes[endpoint.node_id]
    node.Clear()
    bare = node.bare_concrete_function
    bare.concrete_function_name = endpoint.function
    bare.argument_keywords.extend(argument_key(n) for n in range(len(endpoint.inputs)))
    saved = part.concrete_functions[endpoint.function]
    saved.canonicalized_input_signature.Clear()
    saved.output_signature.Clear()
    pair = saved.canonicalized_input_signature.tuple_value.values
    pair.add().tuple_value.SetInParent()
    taken = pair.add().dict_value
    taken.SetInParent()
    for n, tensor in enumerate(endpoint.inputs):
        _describe(taken.fields[argument_key(n)], argument_key(n), tensor)
    given = saved.output_signature.dict_value
    given.SetInParent()
    for n, tensor in enumerate(endpoint.outputs):
        _describe(given.fields[result_key(n)], result_key(n), tensor)
    part.nodes[0].children.add(local_name=_ENDPOINT, node_id=endpoint.node_id)


def _describe(value: Any, name: str, tensor: Any) -> None:
    spec = value.tensor_spec_value
    spec.name = name
    spec.dtype = tf.dtypes.as_dtype(tensor.dtype).as_datatype_enum
    spec.shape.CopyFrom(tf.TensorShape(tensor.shape).as_proto())


def _require_known_operations(meta_graph: Any, path: Path) -> None:
    own = {function.signature.name for function in meta_graph.graph_def.library.function}
    for function in meta_graph.graph_def.library.function:
        for node in function.node_def:
            if node.op not in own and op_def_registry.get(node.op) is None:
                raise ConversionError(
                    f"The operation {node.op} is not known to this TensorFlow.",
                    received=f"node {node.name} of function {function.signature.name}, in {path}",
                    expected="operations of TensorFlow, or of a library that is imported",
                    fix="Import the library that has it before converting (tensorflow_text, "
                    "tensorflow_addons, ...), or name outputs before it: outputs=...",
                )
