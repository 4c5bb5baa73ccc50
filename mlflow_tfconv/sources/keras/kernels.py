"""How kernels of convolutions were stored: the order of their axes, and their direction."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mlflow_tfconv.sources.keras.layer_config import LayerConfig
from mlflow_tfconv.sources.keras.stored_layer import Array, Shape
from mlflow_tfconv.sources.keras.translated import Translated, WeightLayout

Order = tuple[int, ...]


def kernel_layouts(
    translated: Translated, orders: Sequence[Order], *, kernels: int = 1, flipped: bool = False
) -> Callable[[], tuple[WeightLayout, ...]]:
    """Layouts of a layer whose first weights are kernels and whose other ones are plain.

    Args:
        translated: The layer.
        orders: Each a way in which the kernels may be stored: the stored axis that goes to each
            place of a kernel of today; the likeliest first.
        kernels: How many kernels it has.
        flipped: Whether the stored kernels run backwards in space.
    """

    def layouts() -> tuple[WeightLayout, ...]:
        plain = translated.plain_layout()
        return tuple(_layout(plain, order, kernels, flipped) for order in orders)

    return layouts


def _layout(plain: WeightLayout, order: Order, kernels: int, flipped: bool) -> WeightLayout:
    def values(arrays: Sequence[Array]) -> Sequence[Array]:
        turned = [np.transpose(array, order) for array in arrays[:kernels]]
        if flipped:
            turned = [flipped_in_space(array) for array in turned]
        return [*turned, *arrays[kernels:]]

    return WeightLayout(
        names=plain.names,
        shapes=tuple(
            _stored(shape, order) if n < kernels else shape for n, shape in enumerate(plain.shapes)
        ),
        values=values,
        trainable=plain.trainable,
    )


def _stored(shape: Shape, order: Order) -> Shape:
    """The stored shape whose transposition by `order` is `shape`."""
    stored = [0] * len(shape)
    for place, axis in enumerate(order):
        stored[axis] = shape[place]
    return tuple(stored)


def flipped_in_space(kernel: Array) -> Array:
    """A kernel (..., in, out) with its spatial axes reversed."""
    return np.flip(kernel, axis=tuple(range(kernel.ndim - 2)))


def orders_of(layer: LayerConfig, spatial: int) -> tuple[Order, ...]:
    """How kernels with that many spatial axes may be stored."""
    plain = tuple(range(spatial + 2))
    out_in_first = (*range(2, spatial + 2), 1, 0)
    first = layer.around.dialect.first and layer.channels_first
    return (out_in_first, plain) if first else (plain, out_in_first)


def transposed_orders_of(layer: LayerConfig, spatial: int) -> tuple[Order, ...]:
    """The same of transposed convolutions, whose kernels of today are (..., out, in)."""
    plain = tuple(range(spatial + 2))
    if not layer.around.dialect.first:
        return (plain,)
    if layer.channels_first:
        return ((*range(2, spatial + 2), 0, 1),)
    return ((*range(spatial), spatial + 1, spatial),)
