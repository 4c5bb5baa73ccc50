"""The part of a TensorFlow 1 graph that computes outputs from inputs, as it is in inference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import tensorflow as tf

from mlflow_tfconv.artifacts import Choice, TensorSpec
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.runtimes.names import tidy_names
from mlflow_tfconv.sources.graph.batch_dimension import BatchDimension, with_open_batch
from mlflow_tfconv.sources.graph.data_sets import data_sets
from mlflow_tfconv.sources.graph.given_tensors import GivenTensors, described, given_tensors
from mlflow_tfconv.sources.graph.graph_source import GraphSource
from mlflow_tfconv.sources.graph.graph_view import Graph, Node, Ref
from mlflow_tfconv.sources.graph.inference_branches import inference_branches, with_flags
from mlflow_tfconv.sources.graph.inference_choices import (
    flag_choices,
    input_choice,
    output_choice,
)
from mlflow_tfconv.sources.graph.inferred_inputs import inferred_inputs
from mlflow_tfconv.sources.graph.inferred_outputs import Outputs, inferred_outputs
from mlflow_tfconv.sources.graph.input_shapes import shape_from_consumers
from mlflow_tfconv.sources.graph.kept_controls import inference_part
from mlflow_tfconv.sources.graph.moving_statistics import with_moving_statistics
from mlflow_tfconv.sources.graph.op_kinds import PLACEHOLDERS, RANDOM, VARIABLES
from mlflow_tfconv.sources.graph.plain_graph import cut, placeholder, plain_graph
from mlflow_tfconv.sources.graph.refusals import require_inference, require_same_state
from mlflow_tfconv.sources.graph.tensor_types import (
    Shape,
    declared_shape,
    message_of_shape,
    type_of,
)
from mlflow_tfconv.sources.graph.traced_shapes import traced_shapes
from mlflow_tfconv.sources.graph.training_flags import Flag, training_flags
from mlflow_tfconv.sources.graph.twin_outputs import without_twins
from mlflow_tfconv.sources.options import SourceOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceGraph:
    """What is converted.

    Attributes:
        graph: It: placeholders, variables and what computes with them.
        inputs: What is fed, in the order of the graph.
        outputs: What is fetched.
        fed: Name of an input to the placeholder that takes it.
        fetched: Name of an output to its tensor.
        cut_at: Name of an input to the tensor of the original graph that it stands for.
        wanted: Name of an output to its tensor in the original graph.
        flags: Scalars of the original that are set to inference.
        rewritten: Nodes of training that were rewritten: the original can't show what is right.
        rows: The size of batch that the original was built for, when this graph takes any.
        choices: What was inferred or assumed.
        warnings: What a user should know.
        open_rank: Names of the inputs that may have any number of dimensions.
    """

    graph: Graph
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    fed: Mapping[str, Ref]
    fetched: Mapping[str, Ref]
    cut_at: Mapping[str, Ref]
    wanted: Mapping[str, Ref]
    flags: tuple[Flag, ...] = ()
    rewritten: tuple[str, ...] = ()
    rows: int | None = None
    choices: tuple[Choice, ...] = ()
    warnings: tuple[str, ...] = ()

    open_rank: frozenset[str] = frozenset()

    def unknown_rank(self, name: str) -> bool:
        """Whether an input may have any number of dimensions."""
        return name in self.open_rank

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the variables' nodes that are read."""
        return tuple(node.name for node in self.graph if node.op in VARIABLES)


def inference_graph(source: GraphSource, options: SourceOptions) -> InferenceGraph:
    """Cuts inference out of a whole graph.

    Args:
        source: The graph.
        options: Inputs, outputs, signature and shapes that the user names.

    Raises:
        ConversionError: What was named is not there, nothing can be inferred, or the outputs depend
            on what can't be converted.
    """
    plain = plain_graph(source.graph_def)
    given = given_tensors(plain, source, options)
    return _Cutting(source, options, plain, given).result()


class _Cutting:
    def __init__(
        self, source: GraphSource, options: SourceOptions, plain: Graph, given: GivenTensors
    ) -> None:
        self.source, self.options, self.plain, self.given = source, options, plain, given
        self.choices = list(given.choices)
        self.warnings: list[str] = []
        self.cut_at: dict[str, Ref] = {}
        self.fed: dict[str, Ref] = {}

    def result(self) -> InferenceGraph:
        graph = self._cut_given(self.plain)
        graph, flags, dropped = self._set_to_inference(graph)
        outputs, graph, dropped = self._outputs(graph, dropped)
        graph = self._cut_inferred(graph, outputs)
        graph, averaged = self._with_moving_statistics(graph, outputs)
        wanted = [item.node for item in outputs.values()]
        part = inference_part(graph, wanted)
        needed = self.plain.ancestors(wanted, controls=True)
        flags = tuple(flag for flag in flags if flag.name in needed)
        self.choices += flag_choices(flags)
        computed = self.plain.ancestors(wanted)
        dropped = tuple(name for name in dropped if name in computed)
        require_same_state(graph, part)
        self._say_rewritten(averaged, dropped)
        return self._finished(part, outputs, flags, (*averaged, *dropped))

    def _cut_given(self, graph: Graph) -> Graph:
        """Puts placeholders in place of the inputs that were named."""
        if self.given.inputs is None:
            return graph
        names = tidy_names(self.given.inputs)
        for name, tensor in zip(names, self.given.inputs.values(), strict=True):
            graph = self._cut(graph, name, tensor)
        return graph

    def _cut(self, graph: Graph, name: str, tensor: Ref) -> Graph:
        self.cut_at[name] = tensor
        kind = type_of(graph, tensor)
        if kind is None:
            raise ConversionError(
                f"The type of {tensor} can't be told, so it can't be an input.",
                received=f"{tensor}, of operation {graph[tensor.node].op}",
                expected="a tensor of an operation of TensorFlow",
                fix="Name another tensor with inputs=.",
            )
        node = graph[tensor.node]
        shape = declared_shape(graph, tensor)
        if node.op in PLACEHOLDERS:
            self.fed[name] = tensor
            fed = placeholder(node.name, kind, message_of_shape(shape))
            return graph.replaced({node.name: fed})
        new = graph.free_name(f"{tensor.node}/input_{tensor.port}")
        self.fed[name] = Ref(new)
        return cut(graph, tensor, placeholder(new, kind, message_of_shape(shape)))

    def _set_to_inference(self, graph: Graph) -> tuple[Graph, tuple[Flag, ...], tuple[str, ...]]:
        wanted = [item.node for item in (self.given.outputs or {}).values()]
        looked_at = graph.part(graph.ancestors(wanted)) if wanted else graph
        fixed = frozenset(item.node for item in self.fed.values())
        flags = training_flags(looked_at, fixed=fixed)
        graph, dropped = inference_branches(with_flags(graph, flags), wanted)
        return graph, flags, dropped

    def _outputs(
        self, graph: Graph, dropped: tuple[str, ...]
    ) -> tuple[dict[str, Ref], Graph, tuple[str, ...]]:
        if self.given.outputs is not None:
            named = self.given.outputs
            return dict(zip(tidy_names(named), named.values(), strict=True)), graph, dropped
        shapes = traced_shapes(graph)
        found = inferred_outputs(graph, data_sets(graph), shapes)
        chosen, twins = without_twins(graph, found.chosen, dropped)
        if not chosen:
            raise self._nothing(graph, found, shapes)
        names = tidy_names(str(item) for item in chosen)
        outputs = dict(zip(names, chosen, strict=True))
        others = [*twins, *found.others]
        self.choices.append(output_choice(names, others))
        return outputs, graph, dropped

    def _nothing(self, graph: Graph, found: Outputs, shapes: dict[Ref, Shape]) -> ConversionError:
        sources = data_sets(graph).sources
        return ConversionError(
            "It can't be told which tensors of this graph are the outputs.",
            received=f"{self.source.path}, a graph of {len(graph.nodes)} nodes with "
            + (", ".join(described(graph, item, shapes) for item in sources[:8]) or "no inputs"),
            expected="tensors that are computed from inputs by weights",
            fix="Name them with outputs=: "
            + (", ".join(described(graph, item, shapes) for item in found.others[-12:]) or "any."),
        )

    def _cut_inferred(self, graph: Graph, outputs: Mapping[str, Ref]) -> Graph:
        found = inferred_inputs(graph, tuple(outputs.values()), tuple(self.fed.values()))
        defaults = [item for item in found if self._is_default(graph, item)]
        graph = graph.replaced({item.node: graph[item.node].identity() for item in defaults})
        found = tuple(item for item in found if item not in defaults)
        if self.given.inputs is not None and found:
            raise self._needs_more(graph, found)
        names = tidy_names(str(item) for item in found)
        if found:
            self.choices.append(input_choice(graph, names, found, tuple(outputs.values())))
        if not found and not self.fed:
            raise self._without_inputs(graph, outputs)
        for name, tensor in zip(names, found, strict=True):
            graph = self._cut(graph, name, tensor)
        return graph

    def _is_default(self, graph: Graph, item: Ref) -> bool:
        """Whether a placeholder has a scalar default, which it then keeps, as in TensorFlow."""
        node = graph[item.node]
        if node.op != "PlaceholderWithDefault" or declared_shape(graph, item) not in ((), None):
            return False
        self.choices.append(
            Choice(
                what=f"input {item.node}",
                chosen="its default",
                alternatives=("an input",),
                argument="inputs",
            )
        )
        return True

    def _needs_more(self, graph: Graph, found: Sequence[Ref]) -> ConversionError:
        lacking = ", ".join(described(graph, item) for item in found)
        return ConversionError(
            f"The outputs need more than the inputs that were named: {lacking}.",
            received="inputs: " + ", ".join(map(str, self.cut_at.values())),
            expected="inputs that the outputs can be computed from",
            fix="Name these inputs too, or cut the graph behind them with inputs=.",
        )

    def _without_inputs(self, graph: Graph, outputs: Mapping[str, Ref]) -> ConversionError:
        named = ", ".join(map(str, outputs.values()))
        before = graph.ancestors(item.node for item in outputs.values())
        drawn = [Ref(name) for name in graph.nodes if name in before and graph[name].op in RANDOM]
        noise = ", ".join(described(graph, item) for item in drawn)
        return ConversionError(
            f"The outputs depend on no input: {named}.",
            received=f"{self.source.path}" + (f", with random numbers of {noise}" if noise else ""),
            expected="a placeholder, a queue or an iterator that gives examples",
            fix="Name the tensor that takes an example with inputs="
            + (f"{ {'noise': str(drawn[0])} }." if drawn else "."),
        )

    def _with_moving_statistics(
        self, graph: Graph, outputs: Mapping[str, Ref]
    ) -> tuple[Graph, dict[str, Ref]]:
        found = with_moving_statistics(
            graph, outputs.values(), data_sets(graph), traced_shapes(graph)
        )
        self._require_trained(found.variables)
        return found.graph, found.variables

    def _require_trained(self, variables: Mapping[str, Ref]) -> None:
        """Refuses moving statistics that no training ever updated: all zeros and ones."""
        weights = [self.source.weights[name] for name in variables if name in self.source.weights]
        values = [weight.read() for weight in weights]
        if values and all(((value == 0) | (value == 1)).all() for value in values):
            raise ConversionError(
                "The moving statistics of batch norm were never updated: they are all 0 and 1.",
                received=", ".join(variables),
                expected="averages that training kept by running the update operations",
                fix="Train with the update operations, or cut the graph behind the normalization "
                "with inputs=.",
            )

    def _say_rewritten(self, averaged: Mapping[str, Ref], dropped: Sequence[str]) -> None:
        if averaged:
            self.warnings.append(
                "The graph was built for training; it was rewritten to inference. In place of "
                "statistics of the batch it takes moving ones: "
                + ", ".join(f"{name} for {of}" for name, of in averaged.items())
                + "."
            )
        if dropped:
            self.warnings.append(
                f"The graph was built for training; dropout was taken away: {', '.join(dropped)}."
            )

    def _finished(
        self,
        part: Graph,
        outputs: Mapping[str, Ref],
        flags: tuple[Flag, ...],
        rewritten: tuple[str, ...],
    ) -> InferenceGraph:
        fed = {name: item for name, item in self.fed.items() if item.node in part}
        part = self._shaped(part, fed)
        batch = with_open_batch(part, self._free(fed), tuple(outputs.values()))
        self._say_batch(batch)
        self.warnings += require_inference(
            batch.graph, data_sets(batch.graph), batch.shapes, self.cut_at
        )
        return InferenceGraph(
            graph=batch.graph,
            inputs=tuple(_spec(batch.graph, name, fed[name], batch.shapes) for name in fed),
            outputs=tuple(_spec(batch.graph, n, item, batch.shapes) for n, item in outputs.items()),
            fed=fed,
            fetched=outputs,
            cut_at={name: self.cut_at[name] for name in fed},
            wanted=outputs,
            flags=flags,
            rewritten=rewritten,
            rows=batch.unfolded,
            open_rank=frozenset(name for name in fed if batch.shapes.get(fed[name]) is None),
            choices=tuple(self.choices),
            warnings=tuple(self.warnings),
        )

    def _free(self, fed: Mapping[str, Ref]) -> tuple[Ref, ...]:
        """Inputs whose batch dimension nobody has fixed."""
        return tuple(item for name, item in fed.items() if name not in self.options.shapes)

    def _shaped(self, part: Graph, fed: Mapping[str, Ref]) -> Graph:
        """Gives inputs the shapes that were asked for, or that their consumers need."""
        shapes = traced_shapes(part)
        changes: dict[str, Node | None] = {}
        for name, item in fed.items():
            shape = self.options.shapes.get(name) or self.options.shapes.get(str(self.cut_at[name]))
            if shape is None and shapes.get(item) is None:
                shape = shape_from_consumers(part, item, shapes)
            if shape is not None:
                kind = type_of(part, item) or 1
                changes[item.node] = placeholder(item.node, kind, message_of_shape(shape))
        return part.replaced(changes)

    def _say_batch(self, batch: BatchDimension) -> None:
        if batch.fixed is not None and batch.fixed > 1:
            self.choices.append(
                Choice(
                    what="batch size",
                    chosen=f"{batch.fixed}, fixed by the graph",
                    argument="shapes",
                    reason="operations of the graph insist on it",
                )
            )
            self.warnings.append(
                f"The batch size is fixed by the graph: {batch.fixed} examples at a time."
            )


def _spec(graph: Graph, name: str, item: Ref, shapes: Mapping[Ref, Shape]) -> TensorSpec:
    shape = shapes.get(item)
    kind = tf.dtypes.as_dtype(type_of(graph, item) or 1)
    return TensorSpec(name=name, dtype=kind.name, shape=(None,) if shape is None else shape)
