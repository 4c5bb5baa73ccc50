"""Cuts a function at tensors of its graph: they become its inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import tensorflow as tf

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.exporters.tensor_names import TensorNames
from mlflow_tfconv.runtimes.inlined_function import InlinedFunction

_PLACEHOLDER = "cut_input"


class CutGraph:
    """An inlined function, to be cut at any of its tensors.

    Attributes:
        names: Finds tensors by the names that a user may know them by.
    """

    def __init__(self, inlined: InlinedFunction) -> None:
        self._inlined = inlined
        self._tensors = _tensors(inlined)
        self.names = TensorNames(self._tensors)

    def tensor(self, name: str) -> Any:
        """The tensor of a whole name."""
        return self._tensors[name]

    def between(self, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> InlinedFunction:
        """The part of the graph between tensors.

        Args:
            inputs: New name to tensor.
            outputs: New name to tensor.

        Raises:
            ConversionError: The outputs need something that is not computed from the inputs.
        """
        places = {tensor.name: f"{_PLACEHOLDER}_{n}" for n, tensor in enumerate(inputs.values())}
        graph_def = _redirected(self._inlined.graph_def, places)
        for name, place in places.items():
            _add_placeholder(graph_def, place, self._tensors[name])
        results = {name: places.get(t.name, t.name) for name, t in outputs.items()}
        kept = _reached(graph_def, results.values())
        self._require_fed(kept, inputs)
        used = {name for name in self._inlined.captures if name.split(":")[0] in kept}
        wanted = kept | set(places.values())
        nodes = [node for node in graph_def.node if node.name in wanted]
        del graph_def.node[:]
        graph_def.node.extend(nodes)
        return replace(
            self._inlined,
            graph_def=graph_def,
            inputs={name: f"{places[tensor.name]}:0" for name, tensor in inputs.items()},
            outputs={name: _with_output(result) for name, result in results.items()},
            captures=_only(self._inlined.captures, used),
            variables=_only(self._inlined.variables, used),
        )

    def _require_fed(self, kept: set[str], inputs: Mapping[str, Any]) -> None:
        missing = [
            name for name, tensor in self._inlined.inputs.items() if tensor.split(":")[0] in kept
        ]
        if missing:
            raise ConversionError(
                f"The outputs need the input {', '.join(map(repr, missing))} too.",
                received=f"inputs: {', '.join(inputs) or 'none'}",
                expected="inputs that the outputs can be computed from",
                fix="Add it to `inputs`, or cut the graph at tensors that lie behind it.",
            )


def _tensors(inlined: InlinedFunction) -> dict[str, Any]:
    """Name to tensor, with the shapes that the captured variables have."""
    found: dict[str, Any] = {}

    def look() -> None:
        graph = tf.compat.v1.get_default_graph()
        mapped = {inner: graph.capture(outer) for inner, outer in inlined.captures.items()}
        tf.graph_util.import_graph_def(_without_places(inlined.graph_def), mapped, name="")
        found.update((t.name, t) for op in graph.get_operations() for t in op.outputs)

    tf.function(look, autograph=False).get_concrete_function()
    own = {node.name for node in inlined.graph_def.node}
    return {name: tensor for name, tensor in found.items() if name.split(":")[0] in own}


def _only(mapping: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    kept = set(names)
    return {name: mapping[name] for name in mapping if name in kept}


def _with_output(tensor: str) -> str:
    return tensor if ":" in tensor else f"{tensor}:0"


def _without_places(graph_def: Any) -> Any:
    """A copy without devices, colocation and shapes of before."""
    copied = type(graph_def)()
    copied.CopyFrom(graph_def)
    for node in copied.node:
        node.attr.pop("_class", None)
        node.attr.pop("_output_shapes", None)
        node.device = ""
    return copied


def _redirected(graph_def: Any, places: Mapping[str, str]) -> Any:
    """A copy in which whoever took a tensor takes the placeholder in its place."""
    copied = _without_places(graph_def)
    for node in copied.node:
        for n, name in enumerate(node.input):
            if not name.startswith("^") and _with_output(name) in places:
                node.input[n] = places[_with_output(name)]
    return copied


def _add_placeholder(graph_def: Any, name: str, tensor: Any) -> None:
    node = graph_def.node.add(name=name, op="Placeholder")
    node.attr["dtype"].type = tensor.dtype.as_datatype_enum
    node.attr["shape"].shape.CopyFrom(tensor.shape.as_proto())


def _reached(graph_def: Any, tensors: Iterable[str]) -> set[str]:
    nodes = {node.name: node for node in graph_def.node}
    done: set[str] = set()
    waiting = [name.split(":")[0] for name in tensors]
    while waiting:
        name = waiting.pop()
        if name in nodes and name not in done:
            done.add(name)
            waiting.extend(tensor.removeprefix("^").split(":")[0] for tensor in nodes[name].input)
    return done
