"""Activations that are layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import layers

from mlflow_tfconv.runtimes.layers_of_old import advanced_activations as of_old
from mlflow_tfconv.sources.keras.layer_config import LayerConfig
from mlflow_tfconv.sources.keras.layers.plain import made, note_unknown
from mlflow_tfconv.sources.keras.translated import Translated


def _number(value: Any, default: float) -> float:
    """Some versions wrote {"type": "ndarray", "value": 0.3}."""
    if isinstance(value, dict):
        value = value.get("value")
    return default if value is None else float(value)


def _leaky(layer: LayerConfig) -> Translated:
    note_unknown(layer, {"alpha", "negative_slope"})
    slope = layer.get("alpha", layer.get("negative_slope"))
    return made(layers.LeakyReLU, layer, negative_slope=_number(slope, 0.3))


def _elu(layer: LayerConfig) -> Translated:
    note_unknown(layer, {"alpha"})
    return made(layers.ELU, layer, alpha=_number(layer.get("alpha"), 1.0))


def _thresholded(layer: LayerConfig) -> Translated:
    note_unknown(layer, {"theta"})
    return made(of_old.ThresholdedReLU, layer, theta=_number(layer.get("theta"), 1.0))


def _relu(layer: LayerConfig) -> Translated:
    note_unknown(layer, {"max_value", "negative_slope", "threshold"})
    most = layer.get("max_value")
    return made(
        layers.ReLU,
        layer,
        max_value=None if most is None else _number(most, 0.0),
        negative_slope=_number(layer.get("negative_slope"), 0.0),
        threshold=_number(layer.get("threshold"), 0.0),
    )


def _softmax(layer: LayerConfig) -> Translated:
    axis = layer.get("axis", -1)
    return made(layers.Softmax, layer, axis=tuple(axis) if isinstance(axis, list) else axis)


def _parametric(today: Any, **values: Any) -> Callable[[LayerConfig], Translated]:
    def translate(layer: LayerConfig) -> Translated:
        note_unknown(layer, {"shared_axes", "alpha", "alphas", "betas"})
        axes = layer.get("shared_axes") or _shared_in_file(layer)
        return made(today, layer, shared_axes=axes, **values)

    return translate


def _shared_in_file(layer: LayerConfig) -> list[int] | None:
    """Keras 1 did not write which axes share a parameter; the weights are of size 1 there."""
    shapes = layer.around.stored.get(layer.name)
    if not layer.around.dialect.first or not shapes:
        return None
    return [axis for axis, size in enumerate(shapes[0], start=1) if size == 1] or None


LAYERS: dict[str, Any] = {
    "LeakyReLU": _leaky,
    "ELU": _elu,
    "ThresholdedReLU": _thresholded,
    "ReLU": _relu,
    "Softmax": _softmax,
    "PReLU": _parametric(layers.PReLU, alpha_initializer="zeros"),
    "ParametricSoftplus": _parametric(of_old.ParametricSoftplus),
    "SReLU": _parametric(of_old.SReLU),
}
