"""Arrays as a serialized tf.train.Example."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlflow_tfconv.data.example_messages import Example
from mlflow_tfconv.data.inference import Arrays, is_packed
from mlflow_tfconv.data.schema import SHAPE_SUFFIX, FeatureSpec
from mlflow_tfconv.data.values import is_text


def serialized_example(arrays: Arrays, features: Mapping[str, FeatureSpec] | None = None) -> bytes:
    """The same bytes for the same arrays, always.

    Numbers of shape () and text are plain lists that every reader of TFRecords understands. Other
    arrays are one bytes value with the little-endian elements in C order, those of rank 2 and more
    with their shape beside them, in `<name>/shape`.

    Args:
        arrays: Feature name to its value.
        features: What the schema says of them, their encoding first of all.
    """
    example = Example()
    found = example.features.feature
    for name, array in arrays.items():
        if features[name].encoding == "raw" if features else is_packed(array):
            found[name].bytes_list.value.append(array.tobytes())
            if array.ndim > 1:
                found[name + SHAPE_SUFFIX].int64_list.value.extend(array.shape)
        else:
            _put_list(found[name], array)
    return bytes(example.SerializeToString(deterministic=True))


def _put_list(feature: Any, array: np.ndarray[Any, Any]) -> None:
    kind = "bytes_list" if is_text(array) else "float_list"
    values = getattr(feature, kind if array.dtype.kind in "Of" else "int64_list")
    # An empty list is a list all the same: a feature without a kind would count as missing.
    values.SetInParent()
    if array.dtype.kind == "b":
        array = array.astype(np.int64)  # protobuf 7 takes no booleans for integers
    values.value.extend(array.ravel().tolist())
