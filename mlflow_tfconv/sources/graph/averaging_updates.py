"""Variables that keep a running average, and what they average: read off the update operations.

However a graph writes it (`v - (v - t) * (1 - decay)`, `v * decay + t * (1 - decay)`, with or
without zero-debias, on references or resources), an update is linear in the old average and in
the new value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from mlflow_tfconv.sources.graph.graph_view import Graph, Node, Ref
from mlflow_tfconv.sources.graph.op_kinds import VARIABLES
from mlflow_tfconv.sources.graph.tensor_types import Shape, shape_of_message

_UPDATES = frozenset(
    {
        "Assign",
        "AssignAdd",
        "AssignAddVariableOp",
        "AssignSub",
        "AssignSubVariableOp",
        "AssignVariableOp",
    }
)
_LINEAR = frozenset(
    {
        *("Add", "AddV2", "Cast", "Enter", "ExpandDims", "Identity", "Merge", "Mul", "Neg"),
        *("ReadVariableOp", "RealDiv", "Div", "Reshape", "Squeeze", "Sub", "Switch"),
    }
)
#: Only what is reshaped or divided is averaged, not the shape or the divisor.
_FIRST_ONLY = frozenset({"Cast", "ExpandDims", "RealDiv", "Div", "Reshape", "Squeeze", "Switch"})


@dataclass(frozen=True, slots=True)
class Average:
    """A running average.

    Attributes:
        variable: The node of the variable that keeps it.
        of: The tensors whose values are averaged, as close to the update as they can be.
        variables: Nodes of other variables whose values are averaged.
        update: The node that updates it.
    """

    variable: str
    of: tuple[Ref, ...]
    variables: tuple[str, ...]
    update: str


def averages(graph: Graph, is_value: Callable[[Ref], bool]) -> tuple[Average, ...]:
    """The running averages of a graph.

    Args:
        graph: The graph, with its training part.
        is_value: Whether a tensor is one that may be averaged; the walk back from an update ends
            at it.
    """
    found = {}
    for node in graph:
        if node.op in _UPDATES and len(node.inputs) > 1:
            average = _average(graph, node, is_value)
            if average is not None:
                found[average.variable] = average
    return tuple(_debiased(found))


def variable_of(graph: Graph, tensor: Ref) -> str | None:
    """The node of the variable behind a reference, a resource or a value read from it."""
    node = graph.nodes.get(tensor.node)
    for _ in range(len(graph.nodes)):
        if node is None or node.op in VARIABLES:
            return node.name if node is not None else None
        if node.op not in ("Identity", "Switch", "Enter", "ReadVariableOp", *_UPDATES):
            return None
        node = graph.nodes.get(node.inputs[0].node)
    return None


def variable_shape(graph: Graph, name: str) -> Shape:
    """The shape that a variable's node declares."""
    value = graph[name].attr.get("shape")
    return shape_of_message(value.shape) if value is not None else None


def _average(graph: Graph, update: Node, is_value: Callable[[Ref], bool]) -> Average | None:
    variable = variable_of(graph, update.inputs[0])
    if variable is None or variable_shape(graph, variable) == ():
        return None
    values, variables = _leaves(graph, update.inputs[1], is_value)
    if variable not in variables and not _is_quotient(graph, update):
        return None  # it is set, not averaged
    shape = variable_shape(graph, variable)
    others = tuple(
        name for name in variables if name != variable and variable_shape(graph, name) == shape
    )
    if variable not in variables and (values or len(others) != 1):
        return None
    return Average(variable, tuple(values), others, update.name) if values or others else None


def _is_quotient(graph: Graph, update: Node) -> bool:
    """Whether a variable is set to another divided by something, as zero-debias does it."""
    value = graph.nodes.get(update.inputs[1].node)
    return value is not None and value.op in ("RealDiv", "Div")


def _leaves(
    graph: Graph, start: Ref, is_value: Callable[[Ref], bool]
) -> tuple[dict[Ref, None], dict[str, None]]:
    values: dict[Ref, None] = {}
    variables: dict[str, None] = {}
    stack, seen = [start], {start}
    while stack:
        tensor = stack.pop()
        node = graph.nodes.get(tensor.node)
        if node is None:
            continue
        if is_value(tensor):
            values[tensor] = None
        elif node.op in VARIABLES or node.op in _UPDATES:
            owner = variable_of(graph, tensor)
            variables.update({owner: None} if owner else {})
        elif node.op in _LINEAR:
            following = node.inputs[:1] if node.op in _FIRST_ONLY else node.inputs
            stack.extend(item for item in following if item not in seen)
            seen.update(following)
    return values, variables


def _debiased(found: dict[str, Average]) -> Iterator[Average]:
    """Averages; where zero-debias keeps a biased one beside the real one, the real one."""
    real = {
        other: average
        for average in found.values()
        for other in average.variables
        if not average.of and other in found and average.variable not in found[other].variables
    }
    for average in found.values():
        if average.variable in real:
            yield replace(average, variable=real[average.variable].variable)
        elif not any(average is one for one in real.values()):
            yield average
