"""The outputs that ONNX can have: a label that is looked up at the end leaves its number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlflow_tfconv.artifacts import Choice
from mlflow_tfconv.exporters.onnx_impossible import Possible
from mlflow_tfconv.runtimes.graph_walk import GraphWalk, node_name
from mlflow_tfconv.runtimes.inlined_function import InlinedFunction

#: Operation that makes strings to the place of the numbers that they stand for among its inputs.
_LOOKUPS = {
    "AsString": 0,
    "Gather": 1,
    "GatherNd": 1,
    "GatherV2": 1,
    "LookupTableFind": 1,
    "LookupTableFindV2": 1,
    "ResourceGather": 1,
}
#: Operations whose result is their first input in another form.
_HANDED_ON = frozenset({"ExpandDims", "Identity", "Reshape", "Squeeze", "Transpose"})


@dataclass(frozen=True, slots=True)
class NumericOutputs:
    """The outputs of the part that ONNX can have.

    Attributes:
        tensors: Name to tensor.
        choices: What became of those that it can't have.
    """

    tensors: Mapping[str, str]
    choices: tuple[Choice, ...] = ()


def numeric_outputs(inlined: InlinedFunction, possible: Possible) -> NumericOutputs:
    """The outputs that are numbers, and the numbers behind those that are strings."""
    kept = {name: tensor for name, tensor in inlined.outputs.items() if possible.tensor(tensor)}
    choices = []
    for name in inlined.outputs:
        if name in kept:
            continue
        numbers = _numbers_behind(inlined.outputs[name], inlined, possible)
        known = next((n for n, tensor in kept.items() if tensor == numbers), None)
        if numbers is not None and known is None:
            known = f"{name}_ids"
            kept[known] = numbers
        choices.append(_choice(name, known))
    return NumericOutputs(tensors=kept, choices=tuple(choices))


def _numbers_behind(tensor: str, inlined: InlinedFunction, possible: Possible) -> str | None:
    """What a tensor of strings is looked up with, if it is."""
    walk = GraphWalk(inlined.graph_def)
    while not possible.tensor(tensor):
        node = walk.nodes[node_name(tensor)]
        inputs = walk.inputs(node)
        place = 0 if node.op in _HANDED_ON else _LOOKUPS.get(node.op, len(inputs))
        if place >= len(inputs):
            return None
        tensor = inputs[place]
    return tensor


def _choice(name: str, numbers: str | None) -> Choice:
    return Choice(
        what="outputs of the ONNX model",
        chosen=f"without {name}" if numbers is None else f"{numbers} in the place of {name}",
        reason=f"{name!r} is of strings, which ONNX can't give; it is in the SavedModel only"
        + ("" if numbers is None else f", and {numbers!r} is what it is looked up with"),
    )
