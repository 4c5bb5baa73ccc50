"""Serialized examples that somebody else wrote, as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from mlflow_tfconv.data.schema import Encoding, FeatureSpec
from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.config import FeatureConfig

Array = np.ndarray[Any, Any]

_LIST_DTYPES = {"int64_list": np.int64, "float_list": np.float32, "bytes_list": object}


class ForeignExamples:
    """Reads records as the given features say, or as the records themselves show.

    Attributes:
        given: The features to read; empty to read all, as lists.
        packed: Feature to whether its records hold an array as bytes.
    """

    def __init__(self, given: Mapping[str, FeatureConfig]) -> None:
        self.given = given
        self.packed: dict[str, bool] = {}

    def arrays(self, record: bytes, where: str) -> dict[str, Array]:
        """The arrays of a record; lists that were not given are of shape (values,).

        Raises:
            DataError: It is no tf.train.Example, lacks a given feature, or a feature does not fit.
        """
        try:
            features = tf.train.Example.FromString(record).features.feature
        except DecodeError as e:
            raise _no_example(where, str(e)) from e
        if not features:
            raise _no_example(where, "a record without features")
        names = list(self.given) or sorted(features)
        missing = [name for name in names if name not in features]
        if missing:
            raise DataError(
                f"{where} lacks the feature {missing[0]!r} that ingest.features names.",
                received=f"features: {', '.join(sorted(features))}",
                fix="Correct ingest.features, or leave out the feature there.",
            )
        return {name: self._array(name, features[name], where) for name in names}

    def spec(self, name: str, seen: FeatureSpec) -> FeatureSpec:
        """How a feature is to be read from the shards, after all records were seen."""
        given: FeatureConfig | None = self.given.get(name)
        encoding: Encoding = "raw" if self.packed[name] else "list"
        if given is not None:
            return FeatureSpec(given.dtype, given.shape, seen.class_names, encoding)
        shape = () if seen.shape == (1,) else seen.shape
        return FeatureSpec(seen.dtype, shape, seen.class_names, encoding)

    def _array(self, name: str, feature: Any, where: str) -> Array:
        kind = feature.WhichOneof("kind") or "bytes_list"
        values = np.array(getattr(feature, kind).value, dtype=_LIST_DTYPES[kind])
        given = self.given.get(name)
        packed = given is not None and given.dtype != "string" and kind == "bytes_list"
        if self.packed.setdefault(name, packed) != packed:
            raise _misfit(name, where, kind, "the same kind of list in every record")
        return values if given is None else _as_given(name, values, packed, given, where)


def _as_given(name: str, values: Array, packed: bool, given: FeatureConfig, where: str) -> Array:
    text = values.dtype.kind == "O" and not packed
    expected = f"{given.dtype} {given.shape}".replace("None", "any")
    if text != (given.dtype == "string"):
        raise _misfit(name, where, f"{len(values)} values of {values.dtype.name}", expected)
    shape = tuple(-1 if size is None else size for size in given.shape)
    try:
        if packed:
            return np.frombuffer(values.item(), np.dtype(given.dtype).newbyteorder("<")).reshape(
                shape
            )
        return values.reshape(shape) if text else values.reshape(shape).astype(given.dtype)
    except ValueError as e:
        held = f"{sum(map(len, values))} bytes" if packed else f"{len(values)} values"
        raise _misfit(name, where, held, expected) from e


def _misfit(name: str, where: str, received: str, expected: str) -> DataError:
    return DataError(
        f"{where}: the feature {name!r} can't be read.",
        received=received,
        expected=expected,
        fix="Correct its dtype and shape under ingest.features.",
    )


def _no_example(where: str, received: str) -> DataError:
    return DataError(
        f"{where} is no tf.train.Example.",
        received=received,
        expected="serialized tf.train.Example messages",
        fix="Write a generator for these files: `using: custom`.",
    )
