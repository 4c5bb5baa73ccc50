"""Arrays as a serialized tf.train.Example."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from mlflow_tfconv.data.inference import Arrays, is_packed
from mlflow_tfconv.data.schema import SHAPE_SUFFIX
from mlflow_tfconv.data.values import is_text


def serialized_example(arrays: Arrays) -> bytes:
    """The same bytes for the same arrays, always.

    Numbers of shape () and text are plain lists that every reader of TFRecords understands. Other
    arrays are one bytes value with the little-endian elements in C order, those of rank 2 and more
    with their shape beside them, in `<name>/shape`.
    """
    features: dict[str, Any] = {}
    for name, array in arrays.items():
        features[name] = _feature(array)
        if is_packed(array) and array.ndim > 1:
            features[name + SHAPE_SUFFIX] = _integers(array.shape)
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return bytes(example.SerializeToString(deterministic=True))


def _feature(array: np.ndarray[Any, Any]) -> Any:
    if is_packed(array):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[array.tobytes()]))
    if is_text(array):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=list(array.flat)))
    if array.dtype.kind == "f":
        return tf.train.Feature(float_list=tf.train.FloatList(value=[array.item()]))
    return _integers((int(array),))


def _integers(values: tuple[int, ...]) -> Any:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
