"""What the detection heads of darknet do to their input when they predict.

Boxes are not decoded there either: that is the business of whoever reads the network's output.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mlflow_tfconv.sources.darknet.cfg_text import Section
from mlflow_tfconv.sources.darknet.feature import Feature
from mlflow_tfconv.sources.darknet.network import Layer

HEADS = frozenset({"detection", "region", "yolo", "gaussian_yolo"})

_PLAIN, _SIGMOID, _SOFTMAX = "plain", "sigmoid", "softmax"

#: A run of channels of a box, and what is done to it.
_Runs = tuple[tuple[int, str], ...]


def can_activate(section: Section) -> bool:
    """Whether the head's activation is done here; a tree of classes is not."""
    return section.kind in HEADS and "tree" not in section.settings


def activated_head(layer: Layer, feature: Feature) -> Any:
    """What darknet's head gives: (batch, channels, height, width) or (batch, values)."""
    section = layer.section
    if section.kind == "detection":
        return _detection(layer, feature.flat())
    channels, height, width = layer.shape
    runs = _RUNS[section.kind](section)
    per_box = sum(count for count, _ in runs)
    boxes = keras.layers.Reshape((channels // per_box, per_box, height, width))(
        feature.as_darknet()
    )
    parts, start = [], 0
    for count, kind in runs:
        part = boxes[:, :, start : start + count]
        start += count
        parts.append(_activated(part, kind, layer))
    return keras.layers.Reshape(layer.shape)(ops.concatenate(parts, axis=2))


def _activated(part: Any, kind: str, layer: Layer) -> Any:
    if kind == _SOFTMAX:
        return keras.layers.Softmax(axis=2, name=f"{layer.name}_classes")(part)
    values = ops.sigmoid(part) if kind.startswith(_SIGMOID) else part
    scale = layer.section.number("scale_x_y", 1.0)
    if kind.endswith("xy") and scale != 1:
        return scale * values - 0.5 * (scale - 1)
    return values


def _yolo(section: Section) -> _Runs:
    classes = section.whole("classes", 20)
    if section.whole("new_coords", 0):
        return ((2, "plain_xy"), (3 + classes, _PLAIN))
    return ((2, "sigmoid_xy"), (2, _PLAIN), (1 + classes, _SIGMOID))


def _gaussian_yolo(section: Section) -> _Runs:
    """Mean and deviation of x, y, w and h; deviations are sigmoids too."""
    position = ((1, "sigmoid_xy"), (1, _SIGMOID))
    extent = ((1, _PLAIN), (1, _SIGMOID))
    return (*position * 2, *extent * 2, (1 + section.whole("classes", 20), _SIGMOID))


def _region(section: Section) -> _Runs:
    classes, coords = section.whole("classes", 20), section.whole("coords", 4)
    position: _Runs = ((2, _SIGMOID), (coords - 2, _PLAIN))
    softmax = section.whole("softmax", 0)
    if section.whole("background", 0):
        if softmax:
            return (*position, (1 + classes, _SOFTMAX))
        return (*position, (1, _PLAIN), (classes, _SIGMOID))
    return (*position, (1, _SIGMOID), (classes, _SOFTMAX if softmax else _SIGMOID))


_RUNS = {"yolo": _yolo, "gaussian_yolo": _gaussian_yolo, "region": _region}


def _detection(layer: Layer, flat: Any) -> Any:
    """Class probabilities come first: softmax for each place, when asked for."""
    section = layer.section
    if not section.whole("softmax", 0):
        return flat
    side, classes = section.whole("side", 7, 1), section.whole("classes", 1)
    count = side * side * classes
    first = keras.layers.Reshape((side * side, classes))(flat[:, :count])
    first = keras.layers.Reshape((count,))(
        keras.layers.Softmax(name=f"{layer.name}_classes")(first)
    )
    return ops.concatenate([first, flat[:, count:]], axis=1)
