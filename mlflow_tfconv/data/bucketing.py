"""Batches of examples of similar length, so that little of them is padding.

Some dozens of batches' worth of examples are sorted by length together, cut into batches, and these
are put into a random order. In contrast to one bucket for each range of lengths every batch is full
and their number is that of any other stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from mlflow_tfconv.data.feature_lengths import lengths_of
from mlflow_tfconv.data.manifest import Manifest
from mlflow_tfconv.data.memory_budget import stored_bytes
from mlflow_tfconv.data.parsing import as_written
from mlflow_tfconv.data.record_stream import Shuffling
from mlflow_tfconv.data.schema import FeatureSpec, Schema
from mlflow_tfconv.errors import ConfigError

_POOL_BYTES = 16_000_000
_MOST_BATCHES, _LEAST_BATCHES = 64, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucketing:
    """What examples are brought together by.

    Attributes:
        feature: Whose length decides: the first dimension of an array, the bytes of a text.
        boundaries: Lengths, rising: a batch is padded to the first that its longest example does
            not exceed, so that few different shapes come; empty pads to the longest example.
    """

    feature: str
    boundaries: tuple[int, ...] = ()

    def check(self, schema: Schema) -> None:
        """Refuses what can't be bucketed by.

        Raises:
            ConfigError: There is no such feature, or its length does not vary; the boundaries do
                not rise.
        """
        spec = schema.features.get(self.feature) if isinstance(self.feature, str) else None
        if spec is None or not _has_lengths(spec):
            fitting = [name for name, found in schema.features.items() if _has_lengths(found)]
            raise ConfigError(
                f"Examples can't be bucketed by the length of {self.feature!r}.",
                received="no such feature" if spec is None else f"{spec.dtype} {spec.shape}",
                expected=" or ".join(fitting) or "a dataset with a feature whose length varies",
                fix="Name such a feature, or leave `bucket_by` out.",
            )
        rising = all(a < b for a, b in zip((0, *self.boundaries), self.boundaries, strict=False))
        if not rising:
            raise ConfigError(
                "The boundaries of buckets do not rise.",
                received=self.boundaries,
                expected="lengths of at least 1, each longer than the one before",
            )

    def sorted(
        self,
        records: tf.data.Dataset,
        manifest: Manifest,
        split: str,
        batch_size: int,
        order: Shuffling | None,
    ) -> tf.data.Dataset:
        """The same records in pools, so that each `batch_size` of them in a row are alike.

        Args:
            records: Serialized examples, shuffled already where they are to be.
            manifest: The dataset.
            split: Its split.
            batch_size: Examples in a batch.
            order: What puts the batches of a pool into a random order; None leaves the shortest
                first.
        """
        lengths = lengths_of(manifest.schema, self.feature)
        fitting = _POOL_BYTES // (batch_size * max(stored_bytes(manifest, split), 1))
        batches = min(max(fitting, _LEAST_BATCHES), _MOST_BATCHES)
        seed = 0 if order is None else order.seed
        numbers = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True)
        pools = tf.data.Dataset.zip((records.batch(batches * batch_size), numbers))

        def pool(some: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
            # The last pool's examples beyond full batches: any, not the longest.
            rest = tf.size(some) % batch_size
            by_length = tf.argsort(lengths(some[rest:]), stable=True) + rest
            full = tf.reshape(by_length, (-1, batch_size))
            if order is not None:
                turn = tf.range(tf.shape(full)[0])
                key = tf.stack([number, 2])
                full = tf.gather(full, tf.random.experimental.stateless_shuffle(turn, seed=key))
            return tf.gather(some, tf.concat([tf.reshape(full, (-1,)), tf.range(rest)], axis=0))

        return pools.map(as_written(pool), num_parallel_calls=2)

    def padded(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """The batch padded to a boundary: the feature, and those that are just as long."""
        values = batch.get(self.feature)
        if not self.boundaries or not _can_be_padded(values):
            return dict(batch)
        length = tf.shape(values)[1]
        beyond = tf.constant([*self.boundaries, tf.int32.max])
        target = beyond[tf.searchsorted(beyond, [length])[0]]
        target = tf.where(target == tf.int32.max, length, target)
        return {name: _longer(found, length, target) for name, found in batch.items()}


def _has_lengths(spec: FeatureSpec) -> bool:
    if spec.dtype == "string" and not spec.shape:
        return True
    return bool(spec.shape) and spec.shape[0] is None


def _can_be_padded(values: Any) -> bool:
    dense = values is not None and not isinstance(values, tf.RaggedTensor)
    return dense and values.shape.rank > 1 and values.shape[1] is None


def _longer(values: Any, length: tf.Tensor, target: tf.Tensor) -> Any:
    if not _can_be_padded(values):
        return values
    missing = tf.where(tf.shape(values)[1] == length, target - length, 0)
    paddings = [[0, 0], [0, missing], *[[0, 0]] * (values.shape.rank - 2)]
    zero = "" if values.dtype == tf.string else tf.cast(0, values.dtype)
    return tf.ensure_shape(tf.pad(values, paddings, constant_values=zero), values.shape)
