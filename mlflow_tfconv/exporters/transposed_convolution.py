"""Transposed convolutions, whose result may be larger than what their input reaches.

TensorFlow's operation is the gradient of a convolution of a tensor of `size` values along an axis.
With `count` values of its own input, a stride and the reach of the kernel with its dilation, all
of these together reach `full = stride * (count - 1) + reach` places. The result is those from
`before` to `before + size`; the last of them may lie beyond `full`, and are zeros there. `before`
is as that convolution was padded: 0 for VALID, max(full - size, 0) // 2 for SAME.
tf2onnx pads by `full - size` instead, which may be negative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_INT64 = 7  # of ONNX
#: Operations here whose result is of the tensor's type; the others compute with sizes.
_OF_VALUES = ("ConvTranspose", "Identity", "Slice", "Transpose")


def transposed_convolution(graph: Any, node: Any, *_: Any) -> None:
    """A handler of tf2onnx for a Conv2DBackpropInput or Conv3DBackpropInputV2.

    Its inputs are the sizes of the result, the kernel (..., out, in), the tensor, and a bias where
    a rewriter put one.
    """
    geometry = _geometry(graph, node)
    sizes, kernel, x, *bias = node.input
    dtype, shape = graph.get_dtype(node.output[0]), graph.get_shape(node.output[0])
    graph.remove_node(node.name)
    new = _Maker(graph, node.name, dtype)
    spatial = range(len(geometry.strides))
    order = [len(spatial) + 1, len(spatial), *spatial]
    moved = new("Transpose", [kernel], shape=_in_order(graph.get_shape(kernel), order), perm=order)
    result_shape = shape
    if geometry.channels_last:
        first = [0, len(spatial) + 1, *(axis + 1 for axis in spatial)]
        result_shape = _in_order(shape, first)
        given = new("Transpose", [x], shape=_in_order(graph.get_shape(x), first), perm=first)
    else:
        given = x
    uncut = geometry.with_open_axes(result_shape)
    result = new("ConvTranspose", [given, moved, *bias], shape=uncut, **geometry.attributes())
    if geometry.open_axes:
        bounds = _bounds(new, geometry, sizes, x)
        result = new("Slice", [result, *bounds], shape=result_shape)
    if geometry.channels_last:
        last = [0, *(axis + 2 for axis in spatial), 1]
        result = new("Transpose", [result], shape=shape, perm=last)
    new("Identity", [result], shape=shape, name=node.name, outputs=list(node.output))


def _in_order(shape: Sequence[int] | None, order: Sequence[int]) -> list[int] | None:
    return None if shape is None else [shape[axis] for axis in order]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Geometry:
    """Sizes along the spatial axes; -1 where one is known only when the model runs.

    Attributes:
        strides: Strides.
        dilations: Dilations.
        kernel: Sizes of the kernel, without its dilation.
        counts: Of the tensor.
        sizes: Of the result.
        befores: What an explicit padding says; None for SAME.
        channels_last: Whether the channels come after these axes.
    """

    strides: Sequence[int]
    dilations: Sequence[int]
    kernel: Sequence[int]
    counts: Sequence[int]
    sizes: Sequence[int]
    befores: Sequence[int] | None
    channels_last: bool

    @property
    def reaches(self) -> list[int]:
        """Of the kernel with its dilation."""
        pairs = zip(self.kernel, self.dilations, strict=True)
        return [(size - 1) * step + 1 for size, step in pairs]

    @property
    def open_axes(self) -> list[int]:
        """The axes whose padding is known only when the model runs."""
        pairs = enumerate(zip(self.counts, self.sizes, strict=True))
        return [axis for axis, pair in pairs if min(pair) < 0]

    def with_open_axes(self, shape: Sequence[int] | None) -> list[int] | None:
        """A shape with channels first before open axes are cut."""
        if shape is None:
            return None
        return [-1 if axis - 2 in self.open_axes else size for axis, size in enumerate(shape)]

    def attributes(self) -> dict[str, Any]:
        """Those of ONNX's operation; an open axis keeps all that may be cut from it later."""
        sides = [self._padding(axis) for axis in range(len(self.strides))]
        befores, afters, beyond = (list(side) for side in zip(*sides, strict=True))
        return {
            "auto_pad": "NOTSET",
            "dilations": list(self.dilations),
            "kernel_shape": list(self.kernel),
            "output_padding": beyond,
            "pads": befores + afters,
            "strides": list(self.strides),
        }

    def _padding(self, axis: int) -> tuple[int, int, int]:
        """What is cut before and after, and how many zeros are beyond."""
        stride, reach, size = self.strides[axis], self.reaches[axis], self.sizes[axis]
        if axis in self.open_axes:
            return 0, 0, stride - 1 if self.befores is not None else max(stride - reach, 0)
        full = stride * (self.counts[axis] - 1) + reach
        before = max(full - size, 0) // 2 if self.befores is None else self.befores[axis]
        return before, max(full - before - size, 0), max(before + size - full, 0)


def _geometry(graph: Any, node: Any) -> _Geometry:
    kernel = graph.get_shape(node.input[1])[:-2]
    channels_last = node.get_attr_value("data_format", b"NHWC").endswith(b"C")
    first = 1 if channels_last else 2
    axes = slice(first, first + len(kernel))
    unknown = [-1] * (len(kernel) + 2)
    befores: list[int] | None = None
    if node.get_attr_str("padding") != "SAME":
        befores = [0] * len(kernel)
        if node.get_attr_str("padding") == "EXPLICIT":
            befores = list(node.get_attr_value("explicit_paddings"))[::2][axes]
    ones = [1] * (len(kernel) + 2)
    return _Geometry(
        strides=list(node.get_attr_value("strides", ones))[axes],
        dilations=list(node.get_attr_value("dilations", ones))[axes],
        kernel=kernel,
        counts=(graph.get_shape(node.input[2]) or unknown)[axes],
        sizes=(graph.get_shape(node.output[0]) or unknown)[axes],
        befores=befores,
        channels_last=channels_last,
    )


def _bounds(new: _Maker, geometry: _Geometry, sizes: str, x: str) -> list[str]:
    """Where a Slice of the open axes starts and ends, and these axes."""
    axes = geometry.open_axes
    place = new.constant("place", [axis + (1 if geometry.channels_last else 2) for axis in axes])
    size = new("Gather", [new("Cast", [sizes], to=_INT64), place])
    if geometry.befores is not None:
        start = new.constant("start", [geometry.befores[axis] for axis in axes])
    else:
        strides, reaches = geometry.strides, geometry.reaches
        count = new("Gather", [new("Shape", [x]), place])
        steps = new("Mul", [count, new.constant("strides", [strides[axis] for axis in axes])])
        rest = new.constant("rest", [reaches[axis] - strides[axis] for axis in axes])
        padding = new("Sub", [new("Add", [steps, rest]), size])
        cut = new("Max", [padding, new.constant("none", [0])])
        start = new("Div", [cut, new.constant("two", [2])])
    end = new("Add", [start, size])
    return [start, end, new.constant("axes", [axis + 2 for axis in axes])]


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes nodes and constants in a graph of tf2onnx.

    Attributes:
        graph: The graph.
        name: Name of the node that they replace.
        dtype: Of its result.
    """

    graph: Any
    name: str
    dtype: int

    def __call__(
        self,
        op: str,
        inputs: Sequence[str],
        *,
        shape: Sequence[int] | None = None,
        name: str | None = None,
        outputs: list[str] | None = None,
        **attributes: Any,
    ) -> str:
        """A new node's result."""
        dtype = self.dtype if op in _OF_VALUES else _INT64
        made = self.graph.make_node(
            op,
            list(inputs),
            name=name,
            outputs=outputs,
            dtypes=[dtype],
            shapes=None if shape is None else [list(shape)],
            attr=attributes,
        )
        return str(made.output[0])

    def constant(self, name: str, values: Sequence[int]) -> str:
        """A new vector of integers."""
        value = np.array(values, np.int64)
        return str(self.graph.make_const(f"{self.name}_{name}", value).output[0])
