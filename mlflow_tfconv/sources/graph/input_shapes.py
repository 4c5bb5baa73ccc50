"""Shapes of inputs that their files leave open, told from what takes them."""

from __future__ import annotations

from mlflow_tfconv.sources.graph.graph_view import Graph, Node, Ref
from mlflow_tfconv.sources.graph.known_values import known_values
from mlflow_tfconv.sources.graph.tensor_types import Shape

_IMAGES = frozenset(
    [
        "AvgPool",
        "BatchToSpaceND",
        "Conv2D",
        "DepthToSpace",
        "DepthwiseConv2dNative",
        "Dilation2D",
        "FusedBatchNorm",
        "FusedBatchNormV2",
        "FusedBatchNormV3",
        "LRN",
        "MaxPool",
        "MaxPoolWithArgmax",
        "ResizeBicubic",
        "ResizeBilinear",
        "ResizeNearestNeighbor",
        "ResizeArea",
        "SpaceToDepth",
        "CropAndResize",
    ]
)
_SAME_SHAPE = frozenset(
    [
        "Abs",
        "Add",
        "AddV2",
        "Cast",
        "Div",
        "Elu",
        "Exp",
        "Identity",
        "LeakyRelu",
        "Log",
        "Maximum",
        "Minimum",
        "Mul",
        "Neg",
        "RealDiv",
        "Relu",
        "Relu6",
        "Rsqrt",
        "Selu",
        "Sigmoid",
        "Softplus",
        "Sqrt",
        "Square",
        "Sub",
        "Tanh",
        "Enter",
        "StopGradient",
    ]
)


def shape_from_consumers(graph: Graph, tensor: Ref, shapes: dict[Ref, Shape]) -> Shape:
    """The shape that a tensor must have for the nodes that take it, None when nothing tells.

    Args:
        graph: The graph.
        tensor: A tensor of unknown rank.
        shapes: Shapes of the others.
    """
    stack, seen = [tensor], {tensor}
    while stack:
        current = stack.pop(0)
        for name in graph.consumers[current.node]:
            node = graph[name]
            if current not in node.inputs:
                continue
            found = _wanted(graph, node, node.inputs.index(current), shapes)
            if found is not None:
                return found
            following = Ref(name)
            if node.op in _SAME_SHAPE and following not in seen:
                seen.add(following)
                stack.append(following)
    return None


def _wanted(graph: Graph, node: Node, place: int, shapes: dict[Ref, Shape]) -> Shape:
    if node.op in _IMAGES and place == 0:
        return _image(node, shapes)
    if node.op == "Conv3D" and place == 0:
        return (None,) * 5
    if node.op == "MatMul":
        return _matrix(node, place, shapes)
    if node.op == "Reshape" and place == 0:
        return _flat(graph, node)
    return None


def _image(node: Node, shapes: dict[Ref, Shape]) -> Shape:
    sizes: list[int | None] = [None] * 4
    kernel = shapes.get(node.inputs[1]) if node.op.endswith(("Conv2D", "Native")) else None
    layout = node.attr.get("data_format")
    channels = 1 if layout is not None and layout.s == b"NCHW" else 3
    if kernel is not None and len(kernel) == 4:
        sizes[channels] = kernel[2]
    return tuple(sizes)


def _matrix(node: Node, place: int, shapes: dict[Ref, Shape]) -> Shape:
    other = shapes.get(node.inputs[1 - place])
    flags = ("transpose_a", "transpose_b")
    transposed = [name in node.attr and node.attr[name].b for name in flags]
    if other is None or len(other) != 2:
        return (None, None)
    inner = other[0 if (place == 0) != transposed[1 - place] else 1]
    return (None, inner) if (place == 0) != transposed[place] else (inner, None)


def _flat(graph: Graph, node: Node) -> Shape:
    """What becomes (batch, a, b, ...) with the batch left open is (batch, a * b * ...)."""
    target = known_values(graph.part([node.inputs[1].node]), {}).constant(node.inputs[1])
    if target is None or target.size < 2 or target.reshape(-1)[0] != -1:
        return None
    size = 1
    for one in target.reshape(-1)[1:]:
        size *= int(one)
    return (None, size) if size > 0 else None
