"""The part of a model that ONNX can have: from where strings have become numbers.

A model that takes text, or a JPEG as bytes, stays whole in the SavedModel. Its ONNX begins behind
the last operation on strings, tables or ragged tensors, and ends before the first one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

from mlflow_tfconv.artifacts import Choice, TensorSpec
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.exporters.example_features import feature_of
from mlflow_tfconv.exporters.made_up_batches import made_up_batches
from mlflow_tfconv.exporters.onnx_frontier import Frontier, onnx_frontier
from mlflow_tfconv.exporters.onnx_impossible import Possible, has_impossible
from mlflow_tfconv.exporters.onnx_outputs import NumericOutputs, numeric_outputs
from mlflow_tfconv.exporters.trace_function import module_of, trace_function
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.runtimes.graph_walk import node_name
from mlflow_tfconv.runtimes.inlined_function import (
    InlinedFunction,
    graph_function,
    inlined_function,
)
from mlflow_tfconv.runtimes.layer_names import LayerNames, layer_names
from mlflow_tfconv.runtimes.names import tidy_names

Batch = Mapping[str, np.ndarray[Any, Any]]
Tensors = Mapping[str, Any]
_CALLS = re.compile(r"(?:^|(?<=/))(?:Stateful)?PartitionedCall(?:_\d+)?/")


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxPart:
    """What of a model becomes ONNX.

    Attributes:
        traced: It: the model itself when nothing had to be cut off. Its reference is the whole
            source, whose answers `translate` turns into those of the part.
        translate: Of a batch for the whole model and the model's answer to it, what the part takes
            and has to answer; None when it is the whole model.
        choices: What was cut off.
    """

    traced: Traced
    translate: Callable[[Batch, Batch], tuple[Batch, Batch]] | None = None
    choices: tuple[Choice, ...] = ()


def onnx_part(traced: Traced) -> OnnxPart:
    """The part of a model between strings, tables and whatever else ONNX has no counterpart for.

    Raises:
        ConversionError: Nothing that could be computed is left.
    """
    if not has_impossible(traced.function):
        return OnnxPart(traced=traced)
    inlined = inlined_function(
        traced.function, [s.name for s in traced.inputs], [s.name for s in traced.outputs]
    )
    possible = Possible(inlined)
    outputs = numeric_outputs(inlined, possible)
    frontier = onnx_frontier(inlined, possible, outputs.tensors.values())
    if not frontier.impossible and not outputs.choices:
        return OnnxPart(traced=traced)
    if not outputs.tensors or not frontier.computes:
        raise _nothing_left(traced)
    cut = _Cut(traced, inlined, possible, outputs, frontier)
    return OnnxPart(traced=cut.traced(), translate=_Translation(cut), choices=cut.choices())


class _Cut:
    """A model, and where it is cut.

    Attributes:
        whole: The model.
        inlined: Its graph.
        fed: Name of each new input to its tensor.
        outputs: Name of each output of the part to its tensor.
        inputs: All inputs of the part.
    """

    def __init__(
        self,
        whole: Traced,
        inlined: InlinedFunction,
        possible: Possible,
        outputs: NumericOutputs,
        frontier: Frontier,
    ) -> None:
        self.whole, self.inlined = whole, inlined
        self._possible, self._numeric, self._frontier = possible, outputs, frontier
        self.outputs = outputs.tensors
        self._kept = tuple(spec for spec in whole.inputs if spec.name in frontier.inputs)
        taken = [*(spec.name for spec in self._kept), *self.outputs]
        named = tidy_names([*taken, *self._own_names()])[len(taken) :]
        self.fed = dict(zip(named, frontier.tensors, strict=True))
        self.inputs = (*self._kept, *(self._spec(name, t) for name, t in self.fed.items()))

    def _own_names(self) -> list[str]:
        """The tensors' names; what a layer gives is called like the layer, features as they are."""
        nodes = {node.name: node for node in self.inlined.graph_def.node}
        layers = LayerNames(layer_names(self.whole.model), nodes)
        tensors = self._frontier.tensors
        return [
            layers.of(node_name(t)) or _feature(t, nodes[node_name(t)], nodes) or _short(t)
            for t in tensors
        ]

    def traced(self) -> Traced:
        """The part, as one function."""
        function = trace_function(self._call(), self.inputs, effects=False)
        known = {spec.name: spec for spec in self.whole.outputs}
        return replace(
            self.whole,
            function=function,
            module=module_of(function, self.whole.module),
            inputs=self.inputs,
            outputs=tuple(
                known.get(name) or self._spec(name, tensor) for name, tensor in self.outputs.items()
            ),
            choices=(*self.whole.choices, *self.choices()),
        )

    def _call(self) -> Callable[[Tensors], dict[str, Any]]:
        """Puts in what ONNX could not compute, but what no input decides, or only its size."""
        constants = _numbered("constant", self._frontier.constants)
        sizes = _numbered("size", self._frontier.sizes)
        values = self.values(constants)({}) if constants else {}
        names = {tensor: name for name, tensor in self.fed.items()}
        own = {spec.name: self.inlined.inputs[spec.name] for spec in self._kept}
        inner = self.inlined.caller(self.outputs, {**own, **self.fed, **constants, **sizes})

        def call(tensors: Tensors) -> dict[str, Any]:
            rows = {name: names[self._frontier.sizes[tensor]] for name, tensor in sizes.items()}
            known = {name: tf.shape(tensors[row])[:1] for name, row in rows.items()}
            fixed = {name: tf.constant(value.numpy()) for name, value in values.items()}
            return inner({**tensors, **known, **fixed})

        return call

    def values(self, wanted: Mapping[str, str]) -> Callable[[Tensors], Mapping[str, Any]]:
        """Computes tensors of the whole model."""
        inlined = self.inlined
        if not self.whole.weights.in_memory:
            inlined = inlined.with_values(self.whole.weights.value, wanted.values())
        run: Callable[[Tensors], Mapping[str, Any]] = graph_function(inlined.caller(wanted))
        return run

    def choices(self) -> tuple[Choice, ...]:
        """What was cut off, in words."""
        if not self.fed:
            return self._numeric.choices
        gone = [repr(s.name) for s in self.whole.inputs if s.name not in self._frontier.inputs]
        lost = f", and the input {', '.join(gone)} with it," if gone else ""
        shown = [f"{s.name} ({s.dtype} {_shape(s)})" for s in self.inputs if s.name in self.fed]
        later = tuple(map(_short, self._frontier.later))
        choice = Choice(
            what="inputs of the ONNX model",
            chosen=", ".join(shown),
            alternatives=later,
            argument="inputs" if later else None,
            reason=f"ONNX can't compute {', '.join(self._frontier.impossible)}; what comes before "
            f"the cut{lost} is in the SavedModel only",
        )
        return (choice, *self._numeric.choices)

    def _spec(self, name: str, tensor: str) -> TensorSpec:
        found = self._possible.tensors[tensor]
        known = found.shape.rank is not None
        shape = tuple(found.shape.as_list()) if known else (None,) * self._rank(tensor)
        return TensorSpec(name=name, dtype=found.dtype.name, shape=shape)

    def _rank(self, tensor: str) -> int:
        """Number of dimensions of a tensor whose shape TensorFlow does not know: it is tried."""
        batch = next(made_up_batches(self.whole))
        fed = {name: tf.convert_to_tensor(value) for name, value in batch.items()}
        return int(tf.rank(self.values({"tried": tensor})(fed)["tried"]))


class _Translation:
    """Computes what the part takes, and has to answer, with the graph of the whole model."""

    def __init__(self, cut: _Cut) -> None:
        self._cut = cut
        known = {spec.name for spec in cut.whole.outputs}
        self._new = {name: t for name, t in cut.outputs.items() if name not in known}

    def __call__(self, batch: Batch, answer: Batch) -> tuple[Batch, Batch]:
        fed = {name: tf.convert_to_tensor(value) for name, value in batch.items()}
        found = {name: value.numpy() for name, value in self._values(fed).items()}
        inputs = {s.name: {**batch, **found}[s.name] for s in self._cut.inputs}
        return inputs, {name: {**found, **answer}[name] for name in self._cut.outputs}

    @cached_property
    def _values(self) -> Callable[[Tensors], Mapping[str, Any]]:
        return self._cut.values({**self._cut.fed, **self._new})


def _numbered(what: str, tensors: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    """Each tensor under a name that no input has."""
    return {f"{what} {number}": tensor for number, tensor in enumerate(tensors)}


def _short(tensor: str) -> str:
    """The tensor's name without the calls by which its function was reached."""
    return _CALLS.sub("", tensor).removesuffix(":0")


def _feature(tensor: str, node: Any, nodes: Mapping[str, Any]) -> str | None:
    if not node.op.startswith(("ParseExample", "ParseSingleExample")):
        return None

    def strings(name: str) -> list[str]:
        values = tf.make_ndarray(nodes[node_name(name)].attr["value"].tensor)
        return [text.decode() for text in values.reshape(-1)]

    return feature_of(tensor, node, strings)


def _shape(spec: TensorSpec) -> str:
    return f"({', '.join('any' if size is None else str(size) for size in spec.shape)})"


def _nothing_left(traced: Traced) -> ConversionError:
    specs = (*traced.inputs, *traced.outputs)
    return ConversionError(
        "Nothing of this model can be an ONNX model: all it computes works on strings or tables.",
        received=", ".join(f"{spec.name}: {spec.dtype}" for spec in specs),
        expected="a part that computes numbers from numbers",
        fix="Export the SavedModel only (formats: [saved_model]).",
    )
