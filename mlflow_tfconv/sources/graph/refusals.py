"""What must not be left in the part of a graph that is converted, and what has to be said of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.graph.averaging_updates import variable_of
from mlflow_tfconv.sources.graph.data_sets import DataSets
from mlflow_tfconv.sources.graph.graph_view import Graph, Node, Ref
from mlflow_tfconv.sources.graph.known_values import known_values
from mlflow_tfconv.sources.graph.op_kinds import (
    PIPELINES,
    RANDOM,
    is_training_batch_norm,
    is_update,
)
from mlflow_tfconv.sources.graph.tensor_types import Shape, op_definition

_PYTHON = frozenset({"PyFunc", "PyFuncStateless", "EagerPyFunc"})
_REDUCTIONS = frozenset({"Mean", "Sum", "Max", "Min", "Prod"})


def require_inference(
    graph: Graph, data: DataSets, shapes: dict[Ref, Shape], inputs: Mapping[str, Ref]
) -> tuple[str, ...]:
    """Raises when outputs still depend on chance, on a state, or on their own batch's statistics.

    Args:
        graph: The part that is converted, nothing else.
        data: What its tensors depend on.
        shapes: Their shapes.
        inputs: Name of an input to the tensor of the original graph that it stands for.

    Returns:
        Warnings about what depends on other examples of a batch on purpose.

    Raises:
        ConversionError: Names the node.
    """
    for node in graph:
        if node.op in _PYTHON:
            raise _python(node)
        if op_definition(graph, node.op) is None:
            raise _unknown(node)
        if is_update(node.op):
            raise _stateful(node)
        if is_training_batch_norm(node.op, node.attr):
            raise _batch_statistics(node)
        if node.op in RANDOM:
            raise _random(graph, node, inputs)
        if node.op in PIPELINES:
            raise _pipeline(node)
    return _batch_warnings(graph, data, shapes)


def require_same_state(whole: Graph, part: Graph) -> None:
    """Raises when a variable is read only after it was changed.

    Args:
        whole: The graph with its control dependencies.
        part: What is converted, without those on effects.

    Raises:
        ConversionError: Names the node that changes it.
    """
    for node in part:
        if node.op not in ("ReadVariableOp", "Identity") or node.name not in whole:
            continue
        variable = variable_of(whole, Ref(node.name))
        for update in _updates_before(whole, node.name) if variable else ():
            if variable_of(whole, update.inputs[0]) == variable:
                raise _stateful(update)


def _updates_before(graph: Graph, name: str) -> Iterator[Node]:
    """Updates that a node waits for, alone or in groups."""
    stack, seen = list(graph[name].controls), set(graph[name].controls)
    while stack:
        node = graph.nodes.get(stack.pop())
        if node is None:
            continue
        if is_update(node.op) and node.inputs:
            yield node
        elif node.op in ("NoOp", "Identity"):
            stack.extend(item for item in node.controls if item not in seen)
            seen.update(node.controls)


def _batch_warnings(graph: Graph, data: DataSets, shapes: dict[Ref, Shape]) -> tuple[str, ...]:
    reductions = [node for node in graph if _reduces_batch(node, graph, data, shapes)]
    for node in reductions:
        if node.op == "Mean" and _is_variance(graph, node, reductions):
            raise _batch_statistics(node)
    if not reductions:
        return ()
    names = ", ".join(node.name for node in reductions[:5])
    return (f"Results depend on the other examples of a batch: {names} reduces over the batch.",)


def _python(node: Node) -> ConversionError:
    return ConversionError(
        f"{node.op} can't be converted: node {node.name} calls a Python function, and that is not "
        "in the file.",
        received=f"operation {node.op}, node {node.name}",
        expected="operations that TensorFlow itself computes",
        fix="Cut the graph behind the node with inputs=, or before it with outputs=.",
    )


def _unknown(node: Node) -> ConversionError:
    return ConversionError(
        f"Operation {node.op} of node {node.name} is not registered: it is none of TensorFlow's, "
        "but of a library that the model was made with.",
        received=f"operation {node.op}, node {node.name}",
        expected="operations that TensorFlow itself computes",
        fix="Cut the graph behind the node with inputs=, or before it with outputs=.",
    )


def _stateful(node: Node) -> ConversionError:
    return ConversionError(
        f"Node {node.name} ({node.op}) changes a state while the outputs are computed.",
        received=f"operation {node.op}, node {node.name}",
        expected="outputs that depend on the inputs and on stored weights only",
        fix="Name other outputs=, or cut the graph behind the node with inputs=.",
    )


def _batch_statistics(node: Node) -> ConversionError:
    return ConversionError(
        f"Node {node.name} ({node.op}) normalizes by the statistics of its own batch, as in "
        "training, and no moving statistics were found that training kept for it.",
        received=f"operation {node.op}, node {node.name}",
        expected="a graph for inference, or update operations that tell the moving averages",
        fix="Save the graph of inference (is_training=False) and name it with architecture=, or "
        "cut the graph behind the node with inputs=.",
    )


def _random(graph: Graph, node: Node, inputs: Mapping[str, Ref]) -> ConversionError:
    consumers = ", ".join(graph.consumers[node.name][:3])
    known = {name: str(item) for name, item in inputs.items()}
    return ConversionError(
        f"Node {node.name} ({node.op}) draws random numbers, and the outputs depend on them.",
        received=f"operation {node.op}, node {node.name}, taken by {consumers or 'the outputs'}",
        expected="a graph for inference",
        fix="If they are noise that the model takes, make them an input: "
        f"inputs={ {**known, 'noise': f'{node.name}:0'} }. If this is training, save the graph of "
        "inference and name it with architecture=.",
    )


def _pipeline(node: Node) -> ConversionError:
    return ConversionError(
        f"Node {node.name} ({node.op}) reads an input pipeline inside a branch or loop.",
        received=f"operation {node.op}, node {node.name}",
        expected="a pipeline that is read before the model",
        fix="Cut the graph behind it with inputs=.",
    )


def _reduces_batch(node: Node, graph: Graph, data: DataSets, shapes: dict[Ref, Shape]) -> bool:
    if node.op not in _REDUCTIONS or not data.has_data(node.inputs[0]):
        return False
    shape = shapes.get(node.inputs[0])
    axes = known_values(graph.part([node.inputs[1].node]), {}).constant(node.inputs[1])
    if axes is None or not shape or shape[0] is not None:
        return False
    return any(int(axis) % len(shape) == 0 for axis in axes.reshape(-1))


def _is_variance(graph: Graph, node: Node, reductions: list[Node]) -> bool:
    """Whether it is the mean of squared differences from another mean over the batch."""
    means = {other.name for other in reductions if other is not node}
    squared = graph[node.inputs[0].node]
    if squared.op not in ("SquaredDifference", "Square"):
        return False
    before = squared.inputs if squared.op == "SquaredDifference" else ()
    if squared.op == "Square" and graph[squared.inputs[0].node].op == "Sub":
        before = graph[squared.inputs[0].node].inputs
    return any(_origin(graph, item) in means for item in before)


def _origin(graph: Graph, tensor: Ref) -> str:
    node = graph[tensor.node]
    while node.op in ("Identity", "Reshape", "Squeeze", "ExpandDims"):
        node = graph[node.inputs[0].node]
    return node.name
