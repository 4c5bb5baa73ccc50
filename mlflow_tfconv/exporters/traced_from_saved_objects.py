"""Reads a SavedModel of TensorFlow 2: one of its functions, and the weights that it needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from mlflow_tfconv.artifacts import Choice, TensorSpec
from mlflow_tfconv.device import Device, apply_to_tensorflow
from mlflow_tfconv.exporters.quiet_tensorflow import quiet_tensorflow
from mlflow_tfconv.exporters.saved_model_function import NamedFunction, saved_model_function
from mlflow_tfconv.exporters.trace_function import trace_function
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.exporters.weights import MemoryWeights, StoredWeights
from mlflow_tfconv.runtimes.function_runtime import FunctionRuntime
from mlflow_tfconv.runtimes.graph_safety import refuse_unsafe_nodes
from mlflow_tfconv.runtimes.runtime import Runtime
from mlflow_tfconv.runtimes.saved_model_runtime import tensor_spec
from mlflow_tfconv.runtimes.saved_model_safety import refuse_unsafe_objects
from mlflow_tfconv.runtimes.saved_object_graph import SavedObjectGraph
from mlflow_tfconv.sources.options import SourceOptions
from mlflow_tfconv.sources.saved_model.chosen_endpoint import chosen_endpoint
from mlflow_tfconv.sources.saved_model.endpoint import Endpoint
from mlflow_tfconv.sources.saved_model.saved_model_part import (
    LoadedPart,
    loaded_part,
    needed_objects,
)
from mlflow_tfconv.sources.saved_model.stored_variables import StoredVariables, stored_variables


def traced_from_saved_objects(
    meta_graph: Any, path: Path, options: SourceOptions, *, device: Device
) -> Traced:
    """Traces a signature, or a function, of a SavedModel.

    Its variables stay in their files: each is read when an export needs it.

    Args:
        meta_graph: The only MetaGraph of the SavedModel.
        path: Its folder.
        options: Signature, inputs, outputs, shapes, and whether the file is trusted.
        device: Where to compute.

    Raises:
        ConversionError: It is refused, damaged, or what was asked for is not in it.
    """
    objects = SavedObjectGraph(meta_graph)
    endpoint, choices = chosen_endpoint(objects, path, options.signature)
    source = _Source(path, objects, endpoint, options, device)
    with quiet_tensorflow():
        return source.traced(choices)


@dataclass(frozen=True, slots=True)
class _Source:
    """One function of one SavedModel."""

    path: Path
    objects: SavedObjectGraph
    endpoint: Endpoint
    options: SourceOptions
    device: Device

    def traced(self, choices: tuple[Choice, ...]) -> Traced:
        needed = needed_objects(self.objects, self.endpoint)
        self._refuse_unsafe(needed)
        stored = stored_variables(self.objects, self.path, needed)
        lean = bool(stored.readers) and not stored.tables
        part = self._loaded(restored=not lean)
        found = self._function(part)
        function = _concrete(found)
        variables = _used_variables(function)
        return Traced(
            function=function,
            module=_module(function, part),
            inputs=found.inputs,
            outputs=_outputs(function, found),
            open_reference=self._reference,
            weights=_stored_weights(part, stored) if lean else MemoryWeights(),
            parameters=sum(v.shape.num_elements() or 0 for v in variables if v.dtype.is_floating),
            source_format="saved_model",
            choices=choices,
            warnings=(*_unknown_ranks(found), *stored.not_finite()),
        )

    def _reference(self) -> Runtime:
        """The same part of the SavedModel with its values, restored by TensorFlow."""
        with quiet_tensorflow():
            part = self._loaded(restored=True)
            found = self._function(part)
            function = _concrete(found)
            return FunctionRuntime(
                function,
                path=self.path,
                inputs=found.inputs,
                outputs=_outputs(function, found),
                device=self.device,
                owner=part.root,
            )

    def _loaded(self, *, restored: bool) -> LoadedPart:
        with tf.device(apply_to_tensorflow(self.device)):
            return loaded_part(self.objects, self.endpoint, self.path, restored=restored)

    def _function(self, part: LoadedPart) -> NamedFunction:
        found = saved_model_function(part, self.endpoint, self.options)
        if found.graph_def is not None and not self.options.trust:
            refuse_unsafe_nodes(found.graph_def, where=self.path)
        return found

    def _refuse_unsafe(self, needed: list[int]) -> None:
        """Of a part that is cut out later, only what loading runs is looked at here."""
        if self.options.trust:
            return
        whole = self.options.inputs is None and self.options.outputs is None
        called = [self.endpoint.function] if whole else []
        refuse_unsafe_objects(self.objects, called, loaded=needed, where=self.path)


def _concrete(found: NamedFunction) -> Any:
    return trace_function(found.call, found.inputs, unknown_rank=found.unknown_rank)


def _outputs(function: Any, found: NamedFunction) -> tuple[TensorSpec, ...]:
    """With the shapes that follow from those of the inputs."""
    given = function.structured_outputs
    return tuple(tensor_spec(spec.name, given[spec.name]) for spec in found.outputs)


def _stored_weights(part: LoadedPart, stored: StoredVariables) -> StoredWeights:
    return StoredWeights(
        {id(part.objects[node_id].handle): read for node_id, read in stored.readers.items()}
    )


def _module(function: Any, part: LoadedPart) -> Any:
    """What an export is saved with: the variables in the order of their use, and all the rest."""
    module = tf.Module()
    module.weights = _used_variables(function)
    used = {id(variable) for variable in module.weights}
    others = [found for found in part.objects.values() if id(found) not in used]
    trackable = [found for found in others if hasattr(found, "_trackable_children")]
    if any(not isinstance(found, tf.Variable) for found in trackable):
        module.resources = trackable
    return module


def _used_variables(function: Any) -> list[Any]:
    variables = {id(variable.handle): variable for variable in function.graph.variables}
    captured = (variables.get(id(tensor)) for tensor in function.captured_inputs)
    return [variable for variable in captured if variable is not None]


def _unknown_ranks(found: NamedFunction) -> list[str]:
    return [
        f"The input {name!r} may have any number of dimensions; ONNX needs to know how many: "
        f"shapes={{{name!r}: (None, ...)}}."
        for name in sorted(found.unknown_rank)
    ]
