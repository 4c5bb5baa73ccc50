"""Class and argument names of Keras 1 in those of Keras 2.

From the `__init__` and `get_config` of Keras 1.2.2 and the `legacy` interfaces of Keras 2.
"""

from __future__ import annotations

from typing import Any

#: Class of Keras 1 (and older) to that of Keras 2.
CLASSES = {
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
    "AtrousConvolution1D": "Conv1D",
    "AtrousConvolution2D": "Conv2D",
    "SeparableConvolution1D": "SeparableConv1D",
    "SeparableConvolution2D": "SeparableConv2D",
    "TimeDistributedDense": "Dense",
}

_RENAMED = {
    "nb_filter": "filters",
    "filter_length": "kernel_size",
    "subsample": "strides",
    "subsample_length": "strides",
    "stride": "strides",
    "border_mode": "padding",
    "dim_ordering": "data_format",
    "bias": "use_bias",
    "atrous_rate": "dilation_rate",
    "pool_length": "pool_size",
    "inner_activation": "recurrent_activation",
    "p": "rate",
    "sigma": "stddev",
    "length": "size",
}
_JOINED = (("nb_row", "nb_col"), ("kernel_dim1", "kernel_dim2", "kernel_dim3"))
_KEEPS_OUTPUT_DIM = ("Embedding",)
_ORDERINGS = {"th": "channels_first", "tf": "channels_last"}
_SIDES = (("top_pad", "bottom_pad"), ("left_pad", "right_pad"))


def in_words_of_keras2(class_name: str, arguments: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """A layer of Keras 1 as Keras 2 would have written it; one of Keras 2 stays as it is."""
    words = {_RENAMED.get(name, name): value for name, value in arguments.items()}
    for names in _JOINED:
        if all(name in words for name in names):
            words["kernel_size"] = [words.pop(name) for name in names]
    if "output_dim" in words and class_name not in _KEEPS_OUTPUT_DIM:
        words["units"] = words.pop("output_dim")
    if words.get("data_format") in _ORDERINGS:
        words["data_format"] = _ORDERINGS[words["data_format"]]
    if class_name.startswith("ZeroPadding") and "padding" in words:
        words["padding"] = _padding(class_name, words["padding"])
    return CLASSES.get(class_name, class_name), words


def _padding(class_name: str, padding: Any) -> Any:
    """Keras 1 wrote (top, bottom, left, right), or a dict of sides, too."""
    if isinstance(padding, dict):
        sides = _SIDES if class_name == "ZeroPadding2D" else _SIDES[1:]
        pairs = [[padding.get(name, 0) for name in pair] for pair in sides]
        return pairs if class_name == "ZeroPadding2D" else pairs[0]
    if class_name == "ZeroPadding2D" and isinstance(padding, list) and len(padding) == 4:
        return [padding[:2], padding[2:]]
    return padding
