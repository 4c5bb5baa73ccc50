"""Cuts a function at tensors of its graph: they become its inputs and outputs."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import tensorflow as tf

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.runtimes.inlined_function import InlinedFunction

_PLACEHOLDER = "cut_input"


class CutGraph:
    """An inlined function and its tensors, by any name that a user may know them by."""

    def __init__(self, inlined: InlinedFunction) -> None:
        self._inlined = inlined
        with tf.Graph().as_default() as graph:
            tf.import_graph_def(inlined.graph_def, name="")
        self._graph = graph
        self._names = {
            tensor.name: tensor
            for operation in graph.get_operations()
            for tensor in operation.outputs
        }

    def tensor(self, wanted: str, argument: str) -> Any:
        """The tensor of a name: whole or its end, with or without ":0".

        Raises:
            ConversionError: There is none, or several end like this; those that are near are told.
        """
        exact = wanted if ":" in wanted else f"{wanted}:0"
        if exact in self._names:
            return self._names[exact]
        ending = [name for name in self._names if name.endswith(f"/{exact}")]
        if len(ending) == 1:
            return self._names[ending[0]]
        raise _unknown(wanted, argument, ending or self._near(exact))

    def _near(self, wanted: str) -> list[str]:
        last = wanted.rsplit("/", 1)[-1]
        within = [name for name in self._names if last.split(":")[0] in name]
        near = difflib.get_close_matches(wanted, list(self._names), n=4, cutoff=0.5)
        return list(dict.fromkeys([*near, *within]))[:8]

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
            _add_placeholder(graph_def, place, self._names[name])
        results = {name: places.get(t.name, t.name) for name, t in outputs.items()}
        kept = _reached(graph_def, results.values())
        self._require_fed(kept, places)
        used = {name for name in self._inlined.captures if name.split(":")[0] in kept}
        pruned = type(graph_def)()
        pruned.CopyFrom(graph_def)
        del pruned.node[:]
        wanted = kept | set(places.values())
        pruned.node.extend(node for node in graph_def.node if node.name in wanted)
        return replace(
            self._inlined,
            graph_def=pruned,
            inputs={name: f"{places[tensor.name]}:0" for name, tensor in inputs.items()},
            outputs={name: _with_output(result) for name, result in results.items()},
            captures=_only(self._inlined.captures, used),
            variables=_only(self._inlined.variables, used),
        )

    def _require_fed(self, kept: set[str], places: Mapping[str, str]) -> None:
        missing = [
            name for name, tensor in self._inlined.inputs.items() if tensor.split(":")[0] in kept
        ]
        if missing:
            raise ConversionError(
                f"The outputs need the input {', '.join(map(repr, missing))} too.",
                received=f"inputs: {', '.join(places) or 'none'}",
                expected="inputs that the outputs can be computed from",
                fix="Add it to `inputs`, or cut the graph at tensors that lie behind it.",
            )


def _only(mapping: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: mapping[name] for name in mapping if name in set(names)}


def _with_output(tensor: str) -> str:
    return tensor if ":" in tensor else f"{tensor}:0"


def _redirected(graph_def: Any, places: Mapping[str, str]) -> Any:
    """A copy in which whoever took a tensor takes the placeholder in its place."""
    copied = type(graph_def)()
    copied.CopyFrom(graph_def)
    for node in copied.node:
        node.attr.pop("_class", None)  # colocation with what may be cut away
        node.attr.pop("_output_shapes", None)
        node.device = ""
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


def _unknown(wanted: str, argument: str, near: list[str]) -> ConversionError:
    return ConversionError(
        f"The graph has no tensor {wanted!r}, or several whose names end like this.",
        received=f"{argument}: {wanted}",
        expected=f"one of: {', '.join(near)}" if near else "the name of a tensor in the graph",
        fix=f"Name an input or output of the signature, or a tensor's whole name: {argument}=...",
    )
