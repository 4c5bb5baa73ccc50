"""Lets a model take images as channels, height, width, or with the channels last."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from mlflow_tfconv.artifacts import Choice, TensorSpec
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.exporters.retraced import retraced
from mlflow_tfconv.exporters.traced import Traced

Array = np.ndarray[Any, Any]
Batch = Mapping[str, Array]
Layout = Literal["nchw", "nhwc"]
_CHANNELS = (1, 3, 4)


def with_layout(traced: Traced, layout: Layout) -> Traced:
    """The model with its image inputs in this layout; a transposition goes in front of others.

    An image input has four dimensions. Its layout is told by which of them is 1, 3 or 4 long, the
    last or the second.

    Raises:
        ConversionError: The model has no image input.
    """
    images = {spec.name: _layout(spec) for spec in traced.inputs if len(spec.shape) == 4}
    if not images:
        raise ConversionError(
            "The model takes no images whose layout could be changed.",
            received=", ".join(f"{spec.name}: {spec.shape}" for spec in traced.inputs),
            expected="an input (batch, height, width, channels) or (batch, channels, height, "
            "width)",
            fix="Leave `layout` out.",
        )
    turned = [name for name, found in images.items() if found != layout]
    if not turned:
        return traced
    inputs = tuple(_turned(spec) if spec.name in turned else spec for spec in traced.inputs)
    choice = Choice(
        what="layout",
        chosen=f"{', '.join(turned)} as {layout.upper()}",
        alternatives=("NHWC" if layout == "nchw" else "NCHW",),
        argument="layout",
        reason="as asked for; the model transposes them first",
    )
    order = _ORDERS[_other(layout)]

    def adapt(tensors: Mapping[str, Any]) -> dict[str, Any]:
        return {n: tf.transpose(t, order) if n in turned else t for n, t in tensors.items()}

    return retraced(traced, inputs, adapt=adapt, choices=(*traced.choices, choice))


def arranged(inputs: tuple[TensorSpec, ...], layout: Layout) -> Callable[[Batch], dict[str, Array]]:
    """Gives examples for the model as it was in the layout that `with_layout` makes it take."""
    turned = {s.name for s in inputs if len(s.shape) == 4 and _layout(s) != layout}

    def arrange(batch: Batch) -> dict[str, Array]:
        return {n: np.transpose(a, _ORDERS[layout]) if n in turned else a for n, a in batch.items()}

    return arrange


#: The axes of the other layout, in the order in which each wants them.
_ORDERS = {"nhwc": (0, 2, 3, 1), "nchw": (0, 3, 1, 2)}


def _other(layout: str) -> str:
    return "nhwc" if layout == "nchw" else "nchw"


def _layout(spec: TensorSpec) -> str:
    channels_last, channels_first = (spec.shape[axis] in _CHANNELS for axis in (-1, 1))
    return "nchw" if channels_first and not channels_last else "nhwc"


def _turned(spec: TensorSpec) -> TensorSpec:
    """The same in the other layout."""
    order = _ORDERS[_other(_layout(spec))]
    return replace(spec, shape=tuple(spec.shape[axis] for axis in order))
