"""Some examples of a stream, told by their numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from mlflow_tfconv.data.parsing import as_written

Indices = np.ndarray[Any, np.dtype[np.int64]]


def picked(batches: tf.data.Dataset, numbers: Indices) -> tf.data.Dataset:
    """Of batches of any sizes only some examples; batches without one are empty.

    Args:
        batches: The stream, of tensors or structures of them.
        numbers: Of the examples, rising, from 0.
    """
    wanted = tf.constant(numbers, tf.int64)

    def pick(seen: tf.Tensor, batch: Any) -> tuple[tf.Tensor, Any]:
        end = seen + tf.shape(tf.nest.flatten(batch)[0], tf.int64)[0]
        first, last = tf.unstack(tf.searchsorted(wanted, tf.stack([seen, end])))
        local = wanted[first:last] - seen
        return end, tf.nest.map_structure(lambda values: tf.gather(values, local), batch)

    return batches.scan(tf.constant(0, tf.int64), as_written(pick))
