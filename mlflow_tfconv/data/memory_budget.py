"""How much a stream may hold at a time: what follows from the sizes of its examples."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from mlflow_tfconv.data.manifest import Manifest
from mlflow_tfconv.data.schema import FeatureSpec

#: What a string in a shuffle buffer costs beside its bytes: the tensor, its allocation, the slot.
_ELEMENT_BYTES = 400
#: Shards that are read in turn. Fixed: AUTOTUNE would make the order of the examples hang on the
#: number of cores.
SHARDS_AT_ONCE = 8
_LEAST_SHUFFLED = 256
_MOST_PREFETCHED = 16
_MOST_OF_A_SHARD = 64
_PIXELS_PER_STORED_BYTE = 12  # of a photograph as JPEG, when the schema does not tell its size


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryBudget:
    """The bytes of each part of a stream; none depends on the size of the data.

    Attributes:
        shuffle_bytes: Serialized examples to draw the next one from.
        read_ahead_bytes: Read from the shards in play, before the shuffling.
        prefetch_bytes: Batches that wait for the model.
    """

    shuffle_bytes: int = 64_000_000
    read_ahead_bytes: int = 8_000_000
    prefetch_bytes: int = 32_000_000

    def examples_to_draw_from(self, stored_bytes: int, count: int) -> int:
        """Size of the shuffle buffer in examples.

        Args:
            stored_bytes: Of an example.
            count: Examples there are.
        """
        fitting = self.shuffle_bytes // (stored_bytes + _ELEMENT_BYTES)
        return min(count, max(fitting, _LEAST_SHUFFLED))

    def records_of_a_shard(self, stored_bytes: int) -> int:
        """How many records to take of one shard before turning to the next."""
        fitting = self.read_ahead_bytes // (SHARDS_AT_ONCE * max(stored_bytes, 1))
        return min(max(fitting, 1), _MOST_OF_A_SHARD)

    def batches_ahead(self, batch_bytes: int) -> int:
        """How many batches may be ready before the model asks for them."""
        fitting = self.prefetch_bytes // max(batch_bytes, 1)
        return min(max(fitting, 1), _MOST_PREFETCHED)

    def batches_at_once(self, batch_bytes: int) -> int:
        """How many batches may be made at the same time."""
        return min(self.batches_ahead(batch_bytes), os.cpu_count() or 1)

    def options(self) -> tf.data.Options:
        """For the outermost stream; those of a stream within another have no effect.

        AUTOTUNE looks at every record, which took a fifth of the time of reading images of 12 KB
        (TensorFlow 2.21), its RAM budget counts only some buffers, and a pass may end with a wait
        for its thread. What it would choose follows from the sizes here.
        """
        options = tf.data.Options()
        options.autotune.enabled = False
        # Several batches are parsed at a time; threads within one would only wait for each other.
        options.threading.max_intra_op_parallelism = 1
        return options


def stored_bytes(manifest: Manifest, split: str) -> int:
    """What an example takes on the disk, on average."""
    shards = manifest.splits[split]
    count = sum(shard.count for shard in shards)
    return math.ceil(sum(shard.size_bytes for shard in shards) / max(count, 1))


def example_bytes(manifest: Manifest, split: str) -> int:
    """About what an example takes as tensors."""
    stored = stored_bytes(manifest, split)
    known = sum(_tensor_bytes(spec) for spec in manifest.schema.features.values())
    unknown = any(_size_unknown(spec) for spec in manifest.schema.features.values())
    return max(stored * (_PIXELS_PER_STORED_BYTE if unknown else 1), known)


def _tensor_bytes(spec: FeatureSpec) -> int:
    if spec.varies or spec.dtype == "string":
        return 0
    return math.prod(size or 1 for size in spec.shape) * np.dtype(spec.dtype).itemsize


def _size_unknown(spec: FeatureSpec) -> bool:
    return spec.encoding == "image" and spec.varies
