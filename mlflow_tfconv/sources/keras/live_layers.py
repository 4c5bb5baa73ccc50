"""The layers of a live model of today, as those of an older one: for weights of that age."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from mlflow_tfconv.sources.keras.gates import as_cudnn_wants_it
from mlflow_tfconv.sources.keras.kernels import flipped_in_space
from mlflow_tfconv.sources.keras.stored_layer import Array
from mlflow_tfconv.sources.keras.translated import Translated, WeightLayout

_GATES = {keras.layers.LSTM: 4, keras.layers.GRU: 3}
_CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv2DTranspose,
)


def live_layers(model: Any, *, flips: bool = False) -> Translated:
    """A live layer or model, with the ways in which older Kerases wrote its weights.

    Args:
        model: The layer or model, built.
        flips: Whether kernels are stored backwards in space, as Theano wants them.
    """
    translated = Translated(
        name=model.name, class_name=type(model).__name__, layer=model, trainable=model.trainable
    )
    translated.children = tuple(live_layers(inner, flips=flips) for inner in _inside(model))
    if not translated.children:
        translated.layouts = lambda: _layouts(translated, flips)
    return translated


def _inside(model: Any) -> Sequence[Any]:
    if isinstance(model, keras.layers.Bidirectional):
        return (model.forward_layer, model.backward_layer)
    if isinstance(model, keras.layers.Wrapper):
        return (model.layer,)
    if isinstance(model, keras.Model) and hasattr(model, "layers"):
        return tuple(model.layers)
    return ()


def _layouts(translated: Translated, flips: bool) -> Sequence[WeightLayout]:
    live, plain = translated.layer, translated.plain_layout()
    for kind, gates in _GATES.items():
        if isinstance(live, kind) and len(plain.shapes) == 3:
            return (plain, as_cudnn_wants_it(translated, gates))
    if isinstance(live, _CONVOLUTIONS):
        return (_convolution(plain, flips),)
    return (plain,)


def _convolution(plain: WeightLayout, flips: bool) -> WeightLayout:
    def values(arrays: Sequence[Array]) -> Sequence[Array]:
        kernel = flipped_in_space(np.asarray(arrays[0])) if flips else arrays[0]
        return [kernel, *arrays[1:]]

    return WeightLayout(
        names=plain.names, shapes=plain.shapes, values=values, trainable=plain.trainable
    )
