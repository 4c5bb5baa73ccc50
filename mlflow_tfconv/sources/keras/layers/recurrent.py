"""Recurrent layers and their cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import layers

from mlflow_tfconv.sources.keras.activations import activation
from mlflow_tfconv.sources.keras.gates import as_cudnn_wants_it, gates_apart
from mlflow_tfconv.sources.keras.kernels import flipped_in_space
from mlflow_tfconv.sources.keras.layer_config import LayerConfig
from mlflow_tfconv.sources.keras.layers.in_their_order import in_their_order
from mlflow_tfconv.sources.keras.layers.plain import made, note_unknown
from mlflow_tfconv.sources.keras.layers.sizes_of_cells import with_sizes_of_cells
from mlflow_tfconv.sources.keras.layers.theano import pads_otherwise
from mlflow_tfconv.sources.keras.stored_layer import Array, Shape
from mlflow_tfconv.sources.keras.translated import Translated, WeightLayout

_RUN = ("return_sequences", "return_state", "go_backwards", "zero_output_for_mask")
_SEEN = (*_RUN, "units", "use_bias", "activation", "recurrent_activation", "reset_after",
         "stateful", "time_major", "data_format")  # fmt: skip
_ZEROS: dict[str, Any] = {
    "kernel_initializer": "zeros",
    "recurrent_initializer": "zeros",
    "bias_initializer": "zeros",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """A kind of recurrent layer.

    Attributes:
        layer: Its class of today.
        cell: That of its cell.
        written: Letters of its gates in the order of Keras 1; "" when it has one alone.
        order: The place among those of each gate of today.
    """

    layer: Any
    cell: Any
    written: str = ""
    order: tuple[int, ...] = ()


_SIMPLE = _Kind(layer=layers.SimpleRNN, cell=layers.SimpleRNNCell)
_GRU = _Kind(layer=layers.GRU, cell=layers.GRUCell, written="zrh", order=(0, 1, 2))
_LSTM = _Kind(layer=layers.LSTM, cell=layers.LSTMCell, written="icfo", order=(0, 2, 1, 3))


def _recurrent(kind: _Kind, *, cudnn: bool = False) -> Callable[[LayerConfig], Translated]:
    def translate(layer: LayerConfig) -> Translated:
        note_unknown(layer, set(_SEEN))
        refuse_time_first(layer)
        note_states(layer)
        given = {name: bool(layer.get(name)) for name in _RUN if layer.get(name)}
        translated = made(kind.layer, layer, **_cell_arguments(kind, layer, cudnn), **given)
        translated.layouts = _layouts(translated, kind, layer)
        translated.call = called_with_states(translated.layer)
        return translated

    return translate


def _cell(kind: _Kind) -> Callable[[LayerConfig], Translated]:
    def translate(layer: LayerConfig) -> Translated:
        note_unknown(layer, set(_SEEN))
        return made(kind.cell, layer, **_cell_arguments(kind, layer, cudnn=False))

    return translate


def _cell_arguments(kind: _Kind, layer: LayerConfig, cudnn: bool) -> dict[str, Any]:
    given = {"units": layer.arguments["units"], "use_bias": layer.get("use_bias", True), **_ZEROS}
    given["activation"] = activation(layer, default="tanh")
    if kind.written:
        default = "sigmoid" if cudnn else "hard_sigmoid"
        given["recurrent_activation"] = activation(layer, "recurrent_activation", default)
    if kind is _GRU:  # what says nothing of it was written before there was a choice
        given["reset_after"] = cudnn or bool(layer.get("reset_after", False))
    return given


def _layouts(
    translated: Translated, kind: _Kind, layer: LayerConfig
) -> Callable[[], Sequence[WeightLayout]]:
    def layouts() -> Sequence[WeightLayout]:
        plain = translated.plain_layout()
        if not kind.written:
            return (plain,)
        if layer.around.dialect.first:
            apart = gates_apart(translated, kind.written, kind.order)
            return (plain, apart) if layer.get("consume_less") == "gpu" else (apart, plain)
        resets_before = kind is _GRU and len(plain.shapes[-1]) == 1
        if len(plain.shapes) < 3:
            return (plain,)
        if resets_before:  # weights of Keras 1 beside an architecture of Keras 2
            return (plain, gates_apart(translated, kind.written, kind.order))
        return (plain, as_cudnn_wants_it(translated, len(kind.written)), *_apart(translated, kind))

    return layouts


def _apart(translated: Translated, kind: _Kind) -> Sequence[WeightLayout]:
    """Keras 1 had no GRU that resets after the multiplication."""
    return () if kind is _GRU else (gates_apart(translated, kind.written, kind.order),)


def refuse_time_first(layer: LayerConfig) -> None:
    """Raises when time is the first axis, before the batch.

    Raises:
        ConversionError: It is.
    """
    if layer.get("time_major"):
        raise layer.refused(
            "it has time before the batch (time_major), which today's Keras does not have",
            "Save the model with time_major=False and a Permute layer before and after it.",
        )


def note_states(layer: LayerConfig) -> None:
    """Warns of a layer that remembers the last batch."""
    if layer.get("stateful"):
        layer.around.warnings.append(
            f"Layer {layer.name!r} ({layer.written_as}) is stateful: in the original it goes on "
            "from the states of the batch before. Here every batch starts from zeros."
        )


def called_with_states(live: Any) -> Callable[..., Any]:
    """Calls a recurrent layer; what comes after the sequence are its initial states."""

    def call(inputs: Any, **kwargs: Any) -> Any:
        sequence, *states = inputs if isinstance(inputs, list | tuple) else [inputs]
        if states:
            kwargs["initial_state"] = states
        if "initial_state" in kwargs:  # Keras 3 forgets the mask beside them
            kwargs.setdefault("mask", getattr(sequence, "_keras_mask", None))
        return live(sequence, **kwargs)

    return call


def _any_cell(layer: LayerConfig) -> Translated:
    """RNN: a layer made from any cell."""
    refuse_time_first(layer)
    note_states(layer)
    layer = with_sizes_of_cells(layer)
    cell = layer.around.translate(layer.arguments["cell"], layer.around)
    given = {name: bool(layer.get(name)) for name in _RUN if layer.get(name)}
    translated = made(layers.RNN, layer, cell=cell.layer, **given)
    translated.children = (cell,)
    translated.call = called_with_states(translated.layer)
    return translated


def _stacked(layer: LayerConfig) -> Translated:
    cells = [layer.around.translate(cell, layer.around) for cell in layer.arguments["cells"]]
    translated = made(layers.StackedRNNCells, layer, cells=[cell.layer for cell in cells])
    translated.children = tuple(cells)
    return translated


_CONVOLVED = ("filters", "kernel_size", "strides", "padding", "dilation_rate", "use_bias")


def _convolutional(today: Any, spatial: int) -> Callable[[LayerConfig], Translated]:
    def translate(layer: LayerConfig) -> Translated:
        note_unknown(layer, {*_SEEN, *_CONVOLVED})
        note_states(layer)
        if pads_otherwise(layer, spatial):
            raise layer.refused(
                "Theano pads a convolution of this kernel size and stride otherwise",
                "If the model was trained on TensorFlow: original_backend='tensorflow'.",
            )
        given: dict[str, Any] = {n: bool(layer.get(n)) for n in _RUN[:3] if layer.get(n)}
        if layer.channels_first and given.get("return_state"):
            raise layer.refused(
                "it gives its states and has its channels first",
                "Save the model with channels last.",
            )
        translated = in_their_order(
            today,
            layer,
            axis=2,
            output_axis=2 if given.get("return_sequences") else 1,
            activation=activation(layer, default="tanh"),
            recurrent_activation=activation(layer, "recurrent_activation", "hard_sigmoid"),
            **layer.kept(_CONVOLVED),
            **given,
            **_ZEROS,
        )
        translated.layouts = _convolved_layouts(translated, layer, spatial)
        return translated

    return translate


def _convolved_layouts(
    translated: Translated, layer: LayerConfig, spatial: int
) -> Callable[[], Sequence[WeightLayout]]:
    flips = layer.around.dialect.flips_kernels
    first = layer.around.dialect.first
    turned = first and layer.channels_first
    order = (*range(2, spatial + 2), 1, 0) if turned else tuple(range(spatial + 2))

    def convert(kernel: Array) -> Array:
        kernel = np.transpose(kernel, order)
        return flipped_in_space(kernel) if flips else kernel

    def stored(shape: Shape) -> Shape:
        return (*shape[:-3:-1], *shape[:-2]) if turned else shape

    def layouts() -> Sequence[WeightLayout]:
        if first:
            return (gates_apart(translated, "icfo", (0, 2, 1, 3), convert, stored),)
        plain = translated.plain_layout()
        return (
            WeightLayout(
                names=plain.names,
                shapes=plain.shapes,
                values=lambda arrays: [*map(convert, arrays[:2]), *arrays[2:]],
                trainable=plain.trainable,
            ),
        )

    return layouts


LAYERS: dict[str, Any] = {
    "SimpleRNN": _recurrent(_SIMPLE),
    "GRU": _recurrent(_GRU),
    "LSTM": _recurrent(_LSTM),
    "CuDNNGRU": _recurrent(_GRU, cudnn=True),
    "CuDNNLSTM": _recurrent(_LSTM, cudnn=True),
    "SimpleRNNCell": _cell(_SIMPLE),
    "GRUCell": _cell(_GRU),
    "LSTMCell": _cell(_LSTM),
    "StackedRNNCells": _stacked,
    "RNN": _any_cell,
    "ConvLSTM1D": _convolutional(layers.ConvLSTM1D, 1),
    "ConvLSTM2D": _convolutional(layers.ConvLSTM2D, 2),
    "ConvLSTM3D": _convolutional(layers.ConvLSTM3D, 3),
}
