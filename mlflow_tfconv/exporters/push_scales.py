"""Multiplies the scale that follows a convolution into its kernel.

What TensorFlow's optimizer does to a constant kernel, for one whose values it does not have. The
product becomes nodes of the graph, to be computed like everything that weights alone decide.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from mlflow_tfconv.exporters.held_array import HeldArray

GraphDef = Any  # tf.compat.v1.GraphDef
Node = Any  # its NodeDef
Array = np.ndarray[Any, Any]

_CONVOLUTIONS = frozenset({"Conv2D", "Conv3D", "DepthwiseConv2dNative"})


def push_scales(graph_def: GraphDef, held: Mapping[str, HeldArray]) -> GraphDef:
    """Turns `Mul(Conv(x, held), constant)` into `Conv(x, Mul(held, constant))`; in place.

    Only where the constant has one value for a channel, and nothing else takes the convolution's
    result. What was the multiplication then passes that result on, so that its name stays.
    """
    pushing = _Pushing(graph_def, held)
    for node in list(graph_def.node):
        if node.op == "Mul":
            pushing.push(node)
    pushing.rewire()
    return graph_def


class _Pushing:
    """The graph while scales are pushed through it."""

    def __init__(self, graph_def: GraphDef, held: Mapping[str, HeldArray]) -> None:
        self._graph_def = graph_def
        self._nodes = {node.name: node for node in graph_def.node}
        self._kernels = {name: array.shape for name, array in held.items()}
        self._passed_on: dict[str, str] = {}
        self._uses: dict[str, int] = {}
        for node in graph_def.node:
            for name in node.input:
                self._uses[_node_of(name)] = self._uses.get(_node_of(name), 0) + 1

    def push(self, scaled: Node) -> None:
        """Does it for one multiplication, if it can be done."""
        for convolution, constant in self._pairs(scaled):
            kernel = self._kernel(convolution)
            if kernel is None or self._uses[convolution.name] != 1:
                continue
            scale = _by_channel(constant, convolution, kernel)
            if scale is not None:
                self._push(scaled, convolution, scale)
                self._kernels[convolution.input[1]] = kernel
                return

    def rewire(self) -> None:
        """Lets everybody take the results of convolutions from where they are made now."""
        for node in self._graph_def.node:
            node.input[:] = [self._passed_on.get(name, name) for name in node.input]

    def _pairs(self, scaled: Node) -> Iterator[tuple[Node, Node]]:
        left, right = (self._node(name) for name in scaled.input[:2])
        for one, other in ((left, right), (right, left)):
            if one is None or other is None:
                continue
            if one.op in _CONVOLUTIONS and other.op == "Const":
                yield one, other

    def _node(self, name: str) -> Node | None:
        return self._nodes.get(_node_of(self._passed_on.get(name, name)))

    def _kernel(self, convolution: Node) -> tuple[int, ...] | None:
        """Shape of the kernel, if its values are held."""
        name = _node_of(convolution.input[1])
        while name not in self._kernels and name in self._nodes:
            if self._nodes[name].op != "Identity":
                return None
            name = _node_of(self._nodes[name].input[0])
        return self._kernels.get(name)

    def _push(self, scaled: Node, convolution: Node, scale: Array) -> None:
        dtype = scaled.attr["T"].type
        name = f"{scaled.name}/held_kernel"
        factor = self._graph_def.node.add(name=f"{name}/scale", op="Const")
        factor.attr["dtype"].type = dtype
        factor.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(scale))
        product = self._graph_def.node.add(name=name, op="Mul")
        product.input.extend([convolution.input[1], factor.name])
        product.attr["T"].type = dtype
        convolution.input[1] = name
        scaled.op = "Identity"
        scaled.input[:] = [convolution.name]
        self._passed_on[scaled.name] = convolution.name
        self._passed_on[f"{scaled.name}:0"] = convolution.name
        self._uses[convolution.name] = self._uses.get(scaled.name, 0)


def _by_channel(constant: Node, convolution: Node, kernel: tuple[int, ...]) -> Array | None:
    """The constant as what the kernel is to be multiplied by, or None when that is not the same."""
    value: Array = tf.make_ndarray(constant.attr["value"].tensor)
    depthwise = convolution.op.startswith("Depthwise")
    per_channel = kernel[-2:] if depthwise else kernel[-1:]
    channels = math.prod(per_channel)
    if value.ndim > len(kernel) or (value.size > 1 and value.size != channels):
        return None
    if value.size == 1:
        return value.reshape(())
    first = convolution.attr["data_format"].s.startswith(b"NC")
    axis = value.ndim - (len(kernel) - 1 if first else 1)
    if axis < 0 or value.shape[axis] != channels:
        return None
    return value.reshape(per_channel)


def _node_of(name: str) -> str:
    return name.removeprefix("^").split(":")[0]
