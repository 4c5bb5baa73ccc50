"""A tensor in a checkpoint, as its index describes it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTensor:
    """What is known of a tensor before it is read.

    Attributes:
        dtype: TensorFlow's name of the type, such as "float32" or "string".
        shape: Its whole shape.
        in_slices: Whether it was saved in several parts.
        files: The files that hold its values.
    """

    dtype: str
    shape: tuple[int, ...]
    in_slices: bool
    files: tuple[Path, ...]


def dtype_name(number: int) -> str:
    """TensorFlow's name of a `DataType`.

    Raises:
        ValueError: There is no such type.
    """
    try:
        return str(tf.dtypes.as_dtype(number).name)
    except (TypeError, KeyError) as error:
        raise ValueError(f"type number {number} is unknown") from error


def shape_of(message: Any) -> tuple[int, ...]:
    """The shape of a `TensorShapeProto`.

    Raises:
        ValueError: A size is negative or unknown: no stored tensor has such.
    """
    sizes = tuple(int(dim.size) for dim in message.dim)
    if message.unknown_rank or any(size < 0 for size in sizes):
        raise ValueError("its shape is unknown")
    return sizes


def bytes_of(dtype: str, shape: tuple[int, ...]) -> int | None:
    """How many bytes the values take; None where that follows from the values, as of strings."""
    kind = tf.dtypes.as_dtype(dtype)
    if kind in (tf.string, tf.resource, tf.variant):
        return None
    return math.prod(shape) * int(kind.size)
