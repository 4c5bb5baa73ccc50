"""Layers that join several tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import layers

from mlflow_tfconv.runtimes.layers_of_old import merge as of_old
from mlflow_tfconv.runtimes.layers_of_old.given_function import GivenFunction
from mlflow_tfconv.sources.keras.layer_config import LayerConfig
from mlflow_tfconv.sources.keras.layers.lambdas import given_function
from mlflow_tfconv.sources.keras.layers.plain import made, note_unknown
from mlflow_tfconv.sources.keras.translated import Translated

#: Class of Keras 2 to today's, and to the one that joins masks as it did.
_JOINS = {
    "Add": (layers.Add, of_old.MaskedAdd),
    "Subtract": (layers.Subtract, of_old.MaskedSubtract),
    "Multiply": (layers.Multiply, of_old.MaskedMultiply),
    "Average": (layers.Average, of_old.MaskedAverage),
    "Maximum": (layers.Maximum, of_old.MaskedMaximum),
    "Minimum": (layers.Minimum, of_old.MaskedMinimum),
    "Concatenate": (layers.Concatenate, of_old.MaskedConcatenate),
}
#: Mode of Keras 1's Merge to the class of Keras 2.
_MODES = {"sum": "Add", "mul": "Multiply", "ave": "Average", "max": "Maximum"}


def _join(name: str) -> Callable[[LayerConfig], Translated]:
    def translate(layer: LayerConfig) -> Translated:
        note_unknown(layer, {"axis"})
        return _joined(name, layer, **layer.kept(("axis",)))

    return translate


def _joined(name: str, layer: LayerConfig, **arguments: Any) -> Translated:
    today = _JOINS[name][int(layer.around.dialect.masked)]
    return made(today, layer, **arguments)


def _dot(layer: LayerConfig) -> Translated:
    note_unknown(layer, {"axes", "normalize"})
    axes = layer.arguments["axes"]
    return made(
        layers.Dot,
        layer,
        axes=tuple(axes) if isinstance(axes, list) else axes,
        normalize=bool(layer.get("normalize")),
    )


def _merge(layer: LayerConfig) -> Translated:
    """Keras 1: one layer for all ways of merging."""
    mode = layer.get("mode", "sum")
    function = given_function(layer)
    if function is not None or layer.get("mode_type", "raw") != "raw":
        return _merged_by_code(layer, function)
    if mode in _MODES:
        return _joined(_MODES[mode], layer)
    if mode == "concat":
        return _joined("Concatenate", layer, axis=layer.get("concat_axis", -1))
    if mode in ("dot", "cos"):
        axes = layer.get("dot_axes", -1)
        pair = (axes, axes) if isinstance(axes, int) else tuple(axes)
        return made(of_old.DotOfKeras1, layer, axes=pair, cosine=mode == "cos")
    raise layer.refused(
        f"mode {mode!r} is no mode of Keras 1",
        f'Give a function of the list of inputs: lambdas={{"{layer.name}": function}}.',
    )


def _merged_by_code(layer: LayerConfig, function: Any) -> Translated:
    if function is None:
        raise layer.refused(
            "its mode is program code, which is not executed",
            f'Give a function of the list of inputs: lambdas={{"{layer.name}": function}}.',
        )
    return made(GivenFunction, layer, function=function, keywords=layer.get("arguments"))


LAYERS: dict[str, Any] = {
    **{name: _join(name) for name in _JOINS},
    "Dot": _dot,
    "Merge": _merge,
}
