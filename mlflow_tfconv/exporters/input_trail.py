"""Follows an input through a graph to what decides on its values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

from mlflow_tfconv.exporters.example_features import example_features
from mlflow_tfconv.runtimes.graph_walk import GraphWalk, called_functions, node_name
from mlflow_tfconv.runtimes.inlined_function import ImportedGraph, InlinedFunction
from mlflow_tfconv.runtimes.input_range import Content, Feature

#: Operations that give their first input, or all inputs, in another form.
_FIRST = frozenset(
    {
        *("BroadcastTo", "Cast", "CheckNumerics", "EnsureShape", "Enter", "ExpandDims"),
        *("Identity", "MirrorPad", "Pad", "PadV2", "PlaceholderWithDefault", "Reshape"),
        *("ReverseV2", "Slice", "Squeeze", "StopGradient", "StridedSlice", "Switch"),
        *("TensorListFromTensor", "Tile", "Transpose"),
    }
)
_ALL = frozenset({"ConcatV2", "Merge", "Pack", "Select", "SelectV2", "Split", "SplitV", "Unpack"})
#: Operations that look something up to the place of what they look it up in, and of the indices.
_LOOKUPS = {
    "Gather": (0, 1),
    "GatherV2": (0, 1),
    "ResourceGather": (0, 1),
}
_DECODERS: dict[str, Content] = {
    "DecodeAndCropJpeg": "jpeg",
    "DecodeBmp": "png",
    "DecodeImage": "jpeg",
    "DecodeJpeg": "jpeg",
    "DecodePng": "png",
    "DecodeWebP": "png",
    "StringToNumber": "digits",
}
_POSITIVE = frozenset({"Log", "Rsqrt", "Sqrt", "Log1p", "Lgamma", "Digamma"})
#: What is done with the lengths of sequences.
_LENGTHS = frozenset(
    {
        *("Assert", "Greater", "GreaterEqual", "Less", "LessEqual", "Max", "Maximum", "Min"),
        *("Minimum", "Range", "ReverseSequence", "StatelessWhile", "While"),
    }
)
_MOST_CONSTANT = 4096


@dataclass(slots=True)
class InputTrail:
    """What the graph does with an input.

    Attributes:
        scale: What it is multiplied by before anything else, and
        offset: what is then added.
        low: The smallest index that it may be, when it is one.
        high: The largest, or the number of bytes of raw content.
        content: What it is.
        features: Of serialized examples.
        positive: Whether it has to be above 0.
        is_length: Whether it is compared, as lengths are.
    """

    scale: float = 1.0
    offset: float = 0.0
    low: float | None = None
    high: float | None = None
    content: Content = "numbers"
    features: Mapping[str, Feature] = field(default_factory=dict)
    positive: bool = False
    is_length: bool = False

    def bound(self, low: float, high: float) -> None:
        """It has to be within these, beside what else it has to be within."""
        self.low = low if self.low is None else max(self.low, low)
        self.high = high if self.high is None else min(self.high, high)


class Trails:
    """Follows inputs forward, along whatever only moves or scales their values."""

    def __init__(self, inlined: InlinedFunction, value: Callable[[Any], Any]) -> None:
        """Looks at a graph.

        Args:
            inlined: The graph.
            value: Gives the value of a variable.
        """
        self._inlined, self._value = inlined, value
        self._walk = GraphWalk(inlined.graph_def)
        self._functions = {f.signature.name: f for f in inlined.graph_def.library.function}

    @cached_property
    def _imported(self) -> ImportedGraph:
        """The graph with its shapes, which few inputs need."""
        return self._inlined.imported()

    def follow(self, name: str) -> InputTrail:
        """What the graph does with an input."""
        trail = InputTrail()
        shifted: list[tuple[float, float]] = []
        queue = [(self._inlined.inputs[name], 1.0, 0.0)]
        seen = {queue[0][0]}
        for tensor, scale, offset in queue:
            for node, place in self._walk.consumers.get(tensor, ()):
                step = self._step(node, place, scale, offset)
                if step is None:
                    self._note(trail, node, place, (scale, offset), shifted)
                    continue
                for result in self._walk.outputs(node):
                    if result not in seen:
                        seen.add(result)
                        queue.append((result, *step))
        # Indices that were shifted first, such as those counted from the end, count only where no
        # others were found.
        for low, high in shifted if trail.low is None else ():
            trail.bound(low, high)
        if (trail.scale, trail.offset) == (1.0, 0.0):  # scaled, and an output as it is
            _, trail.scale, trail.offset = queue[-1]
        return trail

    def _step(
        self, node: Any, place: int, scale: float, offset: float
    ) -> tuple[float, float] | None:
        """How values were changed behind a node that only does that, else None."""
        if (node.op in _FIRST and place == 0) or node.op in _ALL:
            return scale, offset
        if node.op in ("Mul", "RealDiv", "Div", "Sub", "Add", "AddV2", "BiasAdd"):
            other = self._constant(self._walk.inputs(node)[1 - place])
            return None if other is None else _scaled(node.op, place, other, scale, offset)
        return None

    def _note(
        self,
        trail: InputTrail,
        node: Any,
        place: int,
        moved: tuple[float, float],
        shifted: list[tuple[float, float]],
    ) -> None:
        rows = self._rows(node, place)
        if rows is not None:
            _note_index(trail, rows, moved, shifted)
        elif node.op in _DECODERS and place == 0:
            trail.content = _DECODERS[node.op]
        elif node.op == "DecodeRaw":
            trail.content, trail.high = "bytes", self._raw_size(node)
        elif node.op.startswith(("ParseExample", "ParseSingleExample")) and place == 0:
            trail.content, trail.features = "example", example_features(node, self._strings)
        elif self._is_shape(node, place):
            trail.content = "batch_size"
        elif (inside := self._decoder_in(node)) is not None:
            trail.content = inside
        elif node.op in _POSITIVE:
            trail.positive = True
        elif node.op in _LENGTHS:
            trail.is_length = True
        elif moved != (1.0, 0.0) and (trail.scale, trail.offset) == (1.0, 0.0):
            trail.scale, trail.offset = moved

    def _rows(self, node: Any, place: int) -> int | None:
        """How many things an index may mean, when the input is one here."""
        inputs = self._walk.inputs(node)
        if node.op == "OneHot" and place == 0:
            depth = self._constant(inputs[1])
            return None if depth is None else int(depth.item())
        if node.op not in _LOOKUPS or place != _LOOKUPS[node.op][1]:
            return None
        shape = self._shape(inputs[_LOOKUPS[node.op][0]])
        axis = self._constant(inputs[2]) if node.op == "GatherV2" else np.zeros((), int)
        if not shape or axis is None:
            return None
        rows = shape[int(axis.item())]
        return None if rows is None else int(rows)

    def _shape(self, tensor: str) -> list[int | None] | None:
        variable = self._inlined.variables.get(tensor)
        if variable is not None:
            return list(variable.shape.as_list())
        node = self._walk.nodes.get(node_name(tensor))
        if node is None:
            return None
        if node.op == "Const":
            return [size.size for size in node.attr["value"].tensor.tensor_shape.dim]
        operation = self._imported.operations[node.name]
        found = operation.outputs[int(tensor.partition(":")[2])].shape
        return None if found.rank is None else list(found.as_list())

    def _decoder_in(self, node: Any) -> Content | None:
        """What the body of a loop or a branch decodes."""
        for name in called_functions(node):
            for inner in self._functions[name].node_def:
                found = _DECODERS.get(inner.op) or self._decoder_in(inner)
                if found is not None:
                    return found
        return None

    def _is_shape(self, node: Any, place: int) -> bool:
        """Whether the input decides how large something is made."""
        return (node.op in ("Reshape", "BroadcastTo", "Tile") and place == 1) or (
            node.op == "Fill" and place == 0
        )

    def _raw_size(self, node: Any) -> int:
        """Number of bytes that give the values which the graph makes of them."""
        dtype = tf.as_dtype(node.attr["out_type"].type)
        for follower in self._walk.forward([f"{node.name}:0"]):
            shape = self._shape(f"{follower.name}:0")
            known = [size for size in (shape or [])[1:] if size]
            if follower.op == "Reshape" and known:
                return math.prod(known) * int(dtype.size)
        return 64 * int(dtype.size)

    def _strings(self, tensor: str) -> list[str]:
        value = self._constant(tensor)
        return [] if value is None else [text.decode() for text in value.reshape(-1)]

    def _constant(self, tensor: str) -> Any:
        """The values of a small tensor that does not depend on any input, as an array."""
        node = self._walk.nodes.get(node_name(tensor))
        while node is not None and node.op in ("Identity", "Cast", "Reshape", "ReadVariableOp"):
            tensor = self._walk.inputs(node)[0]
            node = self._walk.nodes.get(node_name(tensor))
        variable = self._inlined.variables.get(tensor)
        if variable is not None:
            small = (variable.shape.num_elements() or _MOST_CONSTANT) < _MOST_CONSTANT
            return np.asarray(self._value(variable)) if small else None
        if node is None or node.op != "Const":
            return None
        value = tf.make_ndarray(node.attr["value"].tensor)
        return value if value.size < _MOST_CONSTANT else None


def _scaled(
    op: str, place: int, other: Any, scale: float, offset: float
) -> tuple[float, float] | None:
    """The new scale and offset; of one for each channel the one in the middle is taken."""
    if other.dtype.kind not in "fiu" or not other.size:
        return None
    value = float(np.median(other.astype(np.float64)))
    if op == "Mul":
        return scale * value, offset * value
    if op in ("RealDiv", "Div"):
        return (scale / value, offset / value) if place == 0 and value else None
    if op == "Sub":
        return (scale, offset - value) if place == 0 else (-scale, value - offset)
    return scale, offset + value


def _note_index(
    trail: InputTrail,
    rows: int,
    moved: tuple[float, float],
    shifted: list[tuple[float, float]],
) -> None:
    scale, offset = moved
    if moved == (1.0, 0.0):
        trail.bound(0, rows - 1)
    elif scale:
        ends = sorted(((0 - offset) / scale, (rows - 1 - offset) / scale))
        shifted.append((float(np.ceil(ends[0])), float(np.floor(ends[1]))))
