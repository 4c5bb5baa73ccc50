"""The nodes of an ONNX graph as operations that hold memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlflow_tfconv.steps.benchmark.estimate.live_set import Operation

_VIEWS = frozenset({"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Dropout"})
#: Kernels that write into their input when nobody needs it any more: those of ONNX Runtime 1.31 whose
#: arena was seen not to grow for them (elementwise arithmetic is not among them).
_OVERWRITING = frozenset(
    {
        "Celu",
        "Clip",
        "Elu",
        "HardSigmoid",
        "LeakyRelu",
        "LogSoftmax",
        "Relu",
        "Selu",
        "Sigmoid",
        "Softmax",
        "Softplus",
        "Softsign",
        "Tanh",
        "ThresholdedRelu",
    }
)


_CONVOLUTIONS = frozenset({"Conv", "FusedConv"})


def operations_of(
    graph: Any, body_bytes: Callable[[Any], int], weights: frozenset[str] = frozenset()
) -> list[Operation]:
    """The operations of a graph in its order; constants and what is computed of them are left out.

    Args:
        graph: An ONNX graph.
        body_bytes: Gives what the body of a loop or a branch holds while it runs.
        weights: Names of values that stand for weights, besides the graph's initializers.
    """
    constants = constant_values(graph, weights)
    maker = {name: node.op_type for node in graph.node for name in node.output}
    found = []
    for node in graph.node:
        if set(node.output) <= constants:
            continue
        bodies = bodies_of(node)
        reads = [*node.input, *(name for body in bodies for name in sorted(outer_values(body)))]
        found.append(
            Operation(
                name=f"{node.op_type} {node.name or node.output[0]}",
                reads=tuple(name for name in reads if name and name not in constants),
                writes=tuple(filter(None, node.output)),
                views=node.op_type in _VIEWS,
                overwrites=node.op_type in _OVERWRITING or _joins_convolution(node, maker),
                inner_bytes=max(map(body_bytes, bodies), default=0),
            )
        )
    return found


def _joins_convolution(node: Any, maker: Mapping[str, str]) -> bool:
    """Whether it is a sum that becomes part of a convolution, which adds to what is there."""
    return node.op_type == "Add" and any(maker.get(name) in _CONVOLUTIONS for name in node.input)


def constant_values(graph: Any, weights: frozenset[str] = frozenset()) -> set[str]:
    """Weights and what is computed of nothing else: that is done once, when the model is loaded.

    Weights that are dequantized are not: ONNX Runtime does that in every run.
    """
    constants = {*weights, *(tensor.name for tensor in graph.initializer)}
    constants |= {tensor.values.name for tensor in graph.sparse_initializer}
    for node in graph.node:
        every_run = node.op_type == "DequantizeLinear" or "Random" in node.op_type
        if every_run or bodies_of(node):
            continue
        if all(name in constants for name in node.input if name):
            constants |= set(node.output)
    return constants


def outer_values(body: Any) -> set[str]:
    """The values that a loop or a branch takes from the graph around it."""
    own = {value.name for value in (*body.input, *body.initializer)}
    own |= {name for node in body.node for name in node.output}
    taken = {value.name for value in body.output}
    for node in body.node:
        taken |= set(node.input)
        for inner in bodies_of(node):
            taken |= outer_values(inner)
    return {name for name in taken - own if name}


def bodies_of(node: Any) -> list[Any]:
    """The graphs inside a node."""
    found = []
    for attribute in node.attribute:
        if attribute.HasField("g"):
            found.append(attribute.g)
        found += attribute.graphs
    return found
