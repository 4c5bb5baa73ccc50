"""Layers that prepare data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from keras import layers

from mlflow_tfconv.sources.keras.layer_config import LayerConfig
from mlflow_tfconv.sources.keras.layers.plain import made, note_unknown, plain
from mlflow_tfconv.sources.keras.translated import Translated, WeightLayout

_LOOKUP = (
    "max_tokens", "num_oov_indices", "mask_token", "oov_token", "vocabulary", "idf_weights",
    "invert", "output_mode", "sparse", "pad_to_max_tokens",
)  # fmt: skip


def _normalization(layer: LayerConfig) -> Translated:
    note_unknown(layer, {"axis", "mean", "variance", "invert"})
    axis = layer.arguments.get("axis", -1)
    live = layers.Normalization(
        axis=tuple(axis) if isinstance(axis, list) else axis,
        name=layer.today,
        **{n: v for n, v in layer.kept(("mean", "variance", "invert")).items() if v is not None},
    )
    translated = Translated(name=layer.name, class_name=layer.class_name, layer=live)
    if layer.get("mean") is None:
        translated.layouts = _statistics(translated)
        translated.finish = live.finalize_state
    return translated


def _statistics(translated: Translated) -> Callable[[], Sequence[WeightLayout]]:
    """Mean, variance, and how many examples these are of."""

    def layouts() -> Sequence[WeightLayout]:
        plain_one = translated.plain_layout()
        counted = WeightLayout(
            names=(*plain_one.names[:2], "count"),
            shapes=(*plain_one.shapes[:2], ()),
            values=lambda arrays: arrays[: len(plain_one.shapes)],
            trainable=0,
        )
        return (counted, plain_one)

    return layouts


def _words(layer: LayerConfig, today: Any, names: Sequence[str]) -> Translated:
    note_unknown(layer, {*names, "vocabulary_size", "encoding", "has_input_vocabulary",
                         "vocabulary_dtype", "has_static_table"})  # fmt: skip
    given = {name: layer.arguments[name] for name in names if layer.arguments.get(name) is not None}
    if layer.get("vocabulary") is None:
        raise layer.refused(
            "its vocabulary is not in the file",
            "Save the model as a SavedModel (model.export or model.save of a folder), which has it.",
        )
    return made(today, layer, **given)


def _lookup(today: Any) -> Callable[[LayerConfig], Translated]:
    return lambda layer: _words(layer, today, _LOOKUP)


_TEXT = (
    "max_tokens", "standardize", "split", "ngrams", "output_mode", "output_sequence_length",
    "pad_to_max_tokens", "vocabulary", "idf_weights", "sparse", "ragged", "encoding",
)  # fmt: skip

LAYERS: dict[str, Any] = {
    "Normalization": _normalization,
    "Resizing": plain(layers.Resizing, "height", "width", "interpolation", "crop_to_aspect_ratio"),
    "CenterCrop": plain(layers.CenterCrop, "height", "width"),
    "CategoryEncoding": plain(
        layers.CategoryEncoding, "num_tokens", "output_mode", renamed={"max_tokens": "num_tokens"}
    ),
    "Discretization": plain(
        layers.Discretization, "bin_boundaries", "output_mode", ignored=("num_bins", "epsilon")
    ),
    "Hashing": plain(layers.Hashing, "num_bins", "mask_value", "salt", "output_mode"),
    "StringLookup": _lookup(layers.StringLookup),
    "IntegerLookup": _lookup(layers.IntegerLookup),
    "TextVectorization": lambda layer: _words(layer, layers.TextVectorization, _TEXT),
}
