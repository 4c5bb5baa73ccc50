"""Merging layers as they joined masks, and modes of Keras 1's Merge."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mlflow_tfconv.runtimes.layers_of_old.activations import PACKAGE


class _AllMasks:
    """A step counts where it counts in every input that has a mask; today one is enough."""

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """All masks together."""
        del inputs
        masks = [one for one in mask or () if one is not None]
        joined = masks[0] if masks else None
        for one in masks[1:]:
            joined = ops.logical_and(joined, one)
        return joined


@keras.saving.register_keras_serializable(PACKAGE)
class MaskedAdd(_AllMasks, keras.layers.Add):  # type: ignore[misc]
    """A sum."""


@keras.saving.register_keras_serializable(PACKAGE)
class MaskedSubtract(_AllMasks, keras.layers.Subtract):  # type: ignore[misc]
    """A difference."""


@keras.saving.register_keras_serializable(PACKAGE)
class MaskedMultiply(_AllMasks, keras.layers.Multiply):  # type: ignore[misc]
    """A product."""


@keras.saving.register_keras_serializable(PACKAGE)
class MaskedAverage(_AllMasks, keras.layers.Average):  # type: ignore[misc]
    """A mean."""


@keras.saving.register_keras_serializable(PACKAGE)
class MaskedMaximum(_AllMasks, keras.layers.Maximum):  # type: ignore[misc]
    """The largest."""


@keras.saving.register_keras_serializable(PACKAGE)
class MaskedMinimum(_AllMasks, keras.layers.Minimum):  # type: ignore[misc]
    """The smallest."""


@keras.saving.register_keras_serializable(PACKAGE)
class MaskedConcatenate(keras.layers.Concatenate):  # type: ignore[misc]
    """A concatenation; of joined features a step counts where it counts in every input."""

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The masks, joined as the inputs are."""
        there = [n for n, one in enumerate(mask or ()) if one is not None]
        if not there:
            return None
        return JoinedMasks(self.axis, there)(list(inputs), [mask[n] for n in there])


@keras.saving.register_keras_serializable(PACKAGE)
class JoinedMasks(keras.Operation):  # type: ignore[misc]
    """The mask of a concatenation.

    It is one operation, for Keras gives operations names of its own, such as "concatenate", and a
    layer may be called so.

    Args:
        axis: That of the concatenation.
        masked: Which of the inputs have a mask.
        name: Its name.
    """

    def __init__(self, axis: int, masked: list[int], *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.axis, self.masked = axis, masked

    def call(self, inputs: list[Any], masks: list[Any]) -> Any:
        """(batch, steps): where every input counts."""
        given = dict(zip(self.masked, masks, strict=True))
        whole = [_broadcast(given.get(n), x) for n, x in enumerate(inputs)]
        return ops.all(ops.concatenate(whole, axis=self.axis), axis=-1)

    def compute_output_spec(self, inputs: list[Any], masks: list[Any]) -> Any:
        """That of a mask, longer where the concatenation is along the steps."""
        del masks
        shape = list(inputs[0].shape)
        sizes = [x.shape[self.axis] for x in inputs]
        shape[self.axis] = None if None in sizes else sum(sizes)
        return keras.KerasTensor(tuple(shape[:-1]), dtype="bool")


def _broadcast(mask: Any, x: Any) -> Any:
    """A mask of the shape of its input; ones where there is none."""
    everywhere = ops.ones_like(x, dtype="bool")
    if mask is None:
        return everywhere
    while len(mask.shape) < len(x.shape):
        mask = ops.expand_dims(mask, -1)
    return ops.logical_and(everywhere, mask)


@keras.saving.register_keras_serializable(PACKAGE)
class DotOfKeras1(keras.layers.Layer):  # type: ignore[misc]
    """The modes "dot" and "cos" of Keras 1's Merge.

    Args:
        axes: The axis of each input that is summed over.
        cosine: Whether it is divided by the lengths; the result has one more axis then.
        arguments: Those of every layer.
    """

    def __init__(self, axes: Any, cosine: bool = False, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.axes, self.cosine = tuple(axes), cosine
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """Two tensors (batch, ...) to one."""
        one, other = inputs
        if not self.cosine:
            return _batch_dot(one, other, self.axes)
        lengths = _batch_dot(one, one, self.axes) * _batch_dot(other, other, self.axes)
        # Keras took roots of what is negative to be 0.
        divisor = ops.maximum(ops.sqrt(ops.relu(lengths)), keras.config.epsilon())
        return ops.expand_dims(_batch_dot(one, other, self.axes) / divisor, 1)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """None: what comes out has no steps."""

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "axes": self.axes, "cosine": self.cosine}


def _batch_dot(one: Any, other: Any, axes: tuple[int, int]) -> Any:
    """Keras 1's: a product of matrices whose last or last but one axis is summed over."""
    if len(one.shape) == 2 and len(other.shape) == 2:
        return ops.sum(one * other, axis=axes[0] % 2, keepdims=True)
    if axes[0] % len(one.shape) != len(one.shape) - 1:
        one = ops.swapaxes(one, -1, -2)
    if axes[1] % len(other.shape) == len(other.shape) - 1:
        other = ops.swapaxes(other, -1, -2)
    return ops.matmul(one, other)
