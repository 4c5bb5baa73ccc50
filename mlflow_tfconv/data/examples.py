"""Arrays as a serialized tf.train.Example."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlflow_tfconv.data.example_messages import Example
from mlflow_tfconv.data.inference import Arrays, is_packed
from mlflow_tfconv.data.schema import SHAPE_SUFFIX
from mlflow_tfconv.data.values import is_text


def serialized_example(arrays: Arrays) -> bytes:
    """The same bytes for the same arrays, always.

    Numbers of shape () and text are plain lists that every reader of TFRecords understands. Other
    arrays are one bytes value with the little-endian elements in C order, those of rank 2 and more
    with their shape beside them, in `<name>/shape`.
    """
    example = Example()
    features = example.features.feature
    for name, array in arrays.items():
        _put(features[name], array)
        if is_packed(array) and array.ndim > 1:
            features[name + SHAPE_SUFFIX].int64_list.value.extend(array.shape)
    return bytes(example.SerializeToString(deterministic=True))


def _put(feature: Any, array: np.ndarray[Any, Any]) -> None:
    if is_packed(array):
        feature.bytes_list.value.append(array.tobytes())
    elif is_text(array):
        # An empty list is a list all the same: a feature without a kind would count as missing.
        feature.bytes_list.SetInParent()
        feature.bytes_list.value.extend(array.flat)
    elif array.dtype.kind == "f":
        feature.float_list.value.append(array.item())
    else:
        feature.int64_list.value.append(int(array))
