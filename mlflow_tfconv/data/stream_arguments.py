"""The arguments of `read_dataset`, checked before TensorFlow gets them.

TensorFlow would end the process for want of memory on a large buffer, and names no argument.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import tensorflow as tf

from mlflow_tfconv.arguments import in_short, require_numbers
from mlflow_tfconv.data.record_stream import Seed, Shuffling
from mlflow_tfconv.errors import ConfigError

_INT64 = range(-(2**63), 2**63)
_INT32 = range(1, 2**31)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batching:
    """How many examples come together, and which batches.

    Attributes:
        size: Examples in a batch, at most those of the split.
        count: Batches in a pass over the split, without those that are left out.
    """

    size: int
    count: int


def batching(examples: int, batch_size: Any, *, drop_remainder: Any, skip: Any) -> Batching:
    """What the arguments say of batches.

    Args:
        examples: In the split.
        batch_size: Examples in a batch.
        drop_remainder: Whether a batch that is not full is left out.
        skip: Batches to leave out at the begin.

    Raises:
        ConfigError: There is no such size, or not one batch is left.
    """
    _require_no_bool(batch_size=batch_size, skip=skip)
    require_numbers(1, whole=True, batch_size=batch_size)
    require_numbers(0, whole=True, skip=skip)
    require_bool(drop_remainder=drop_remainder)
    if drop_remainder and examples < batch_size:
        raise ConfigError(
            "Not one batch of the split is full, and `drop_remainder` leaves out others.",
            received=f"a batch size of {batch_size}, {examples} examples",
            expected=f"a batch size of at most {examples}",
            fix="Make the batch smaller, or keep the remainder.",
        )
    count = examples // batch_size if drop_remainder else -(-examples // batch_size)
    if skip > count:
        raise ConfigError(
            "`skip` leaves out more batches than there are.",
            received=skip,
            expected=f"0 to {count}",
        )
    return Batching(size=min(int(batch_size), examples), count=count - int(skip))


def shuffling(examples: int, shuffle: Any, seed: Any) -> Shuffling | None:
    """How the order is to change; None where it is that of the shards.

    Raises:
        ConfigError: There is no such number of examples to draw from, or no such seed.
    """
    if not isinstance(shuffle, Integral) or shuffle < 0:
        raise ConfigError(
            "`shuffle` can't be used.",
            received=in_short(shuffle),
            expected="True or False, or the number of examples to draw the next one from",
        )
    known = _seed(seed)
    if not shuffle:
        return None
    asked = None if isinstance(shuffle, bool) else min(int(shuffle), examples)
    return Shuffling(seed=known, examples=asked)


def require_bool(**values: Any) -> None:
    """Raises unless all are True or False.

    Raises:
        ConfigError: One is not.
    """
    for name, value in values.items():
        if not isinstance(value, bool):
            raise ConfigError(
                f"`{name}` can't be used.", received=in_short(value), expected="True or False"
            )


def require_device(device: Any) -> None:
    """Raises unless TensorFlow has this device.

    Raises:
        ConfigError: It has not.
    """
    found = [one.name.removeprefix("/device:") for one in tf.config.list_logical_devices()]
    asked = device.upper().rpartition("DEVICE:")[2].lstrip("/") if isinstance(device, str) else None
    if asked not in found:
        raise ConfigError(
            "`prefetch_to` names no device of this machine.",
            received=in_short(device),
            expected=" or ".join(f"'/{name}'" for name in found),
        )


def boundaries_of(boundaries: Any, bucket_by: str | None) -> tuple[int, ...]:
    """The boundaries of buckets as whole numbers; whether they rise is not looked at.

    Raises:
        ConfigError: They are something else, or there is nothing to bucket by.
    """
    several = isinstance(boundaries, Sequence) and not isinstance(boundaries, str | bytes)
    if not several or not all(isinstance(b, Integral) and b in _INT32 for b in boundaries):
        raise ConfigError(
            "`bucket_boundaries` can't be used.",
            received=in_short(boundaries),
            expected="lengths of at least 1, each longer than the one before",
        )
    if boundaries and bucket_by is None:
        raise ConfigError(
            "`bucket_boundaries` are given, but nothing to bucket by.",
            received=in_short(boundaries),
            fix="Name a feature of varying length as `bucket_by`, or leave the boundaries out.",
        )
    return tuple(int(boundary) for boundary in boundaries)


def _seed(seed: Any) -> Seed:
    if tf.is_tensor(seed) and seed.dtype.is_integer and seed.shape.rank == 0:
        return tf.cast(seed, tf.int64)
    if isinstance(seed, bool) or not isinstance(seed, Integral) or int(seed) not in _INT64:
        raise ConfigError(
            "`seed` can't be used.",
            received=in_short(seed),
            expected="a whole number of at most 64 bits",
        )
    return int(seed)


def _require_no_bool(**values: Any) -> None:
    for name, value in values.items():
        if isinstance(value, bool):
            raise ConfigError(f"`{name}` can't be used.", received=value, expected="a whole number")
