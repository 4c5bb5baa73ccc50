"""Reads a TensorFlow checkpoint one tensor at a time, after its files were found to be whole."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import trackable_object_graph_pb2

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.checkpoints.bundle_index import tensors_of_bundle
from mlflow_tfconv.sources.checkpoints.checkpoint_files import (
    CheckpointFiles,
    require_checkpoint_files,
)
from mlflow_tfconv.sources.checkpoints.damaged_file import damaged_file
from mlflow_tfconv.sources.checkpoints.plain_path import plain_path
from mlflow_tfconv.sources.checkpoints.slice_index import tensors_of_slices
from mlflow_tfconv.sources.checkpoints.stored_tensor import StoredTensor
from mlflow_tfconv.sources.checkpoints.tensor_slice import TensorSlice

Array = np.ndarray[Any, Any]

#: The key under which a checkpoint of TensorFlow 2 describes the objects that were saved.
OBJECT_GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"


class CheckpointReader:
    """A checkpoint of any version; opening it reads its index, never its tensors.

    Args:
        path: The prefix, or any file of the checkpoint.

    Raises:
        ConversionError: A file is missing, empty, cut off or altered, or only stands for another.
    """

    def __init__(self, path: Path) -> None:
        self.files: CheckpointFiles = require_checkpoint_files(path)
        self.prefix = self.files.prefix
        self._tensors: dict[str, StoredTensor] = (
            tensors_of_bundle(self.prefix)
            if self.files.version == 2
            else tensors_of_slices(self.files.v1_files)
        )

    def keys(self) -> tuple[str, ...]:
        """All keys, sorted."""
        return tuple(sorted(self._tensors))

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __contains__(self, key: object) -> bool:
        return key in self._tensors

    def dtype(self, key: str) -> str:
        """TensorFlow's name of a tensor's type, such as "float32" or "string"."""
        return self._stored(key).dtype

    def shape(self, key: str) -> tuple[int, ...]:
        """A tensor's whole shape, also when it was saved in slices."""
        return self._stored(key).shape

    def read(self, key: str, slice: TensorSlice | None = None) -> Array:  # noqa: A002 (TF's word)
        """A tensor's values, or those of a part of it.

        Only this tensor is read; nothing is kept. Of a tensor that was saved in slices, only the
        slices that are needed.

        Raises:
            ConversionError: There is no such key, or the values are damaged.
        """
        stored = self._stored(key)
        try:
            if stored.in_slices:
                return _restored(self._path, key, slice, stored.dtype)
            value = self._reader.get_tensor(key)
        except (tf.errors.OpError, RuntimeError, ValueError) as error:
            raise self._unreadable(key, stored, error) from error
        # One text comes as bytes; numpy's own type for it would drop zeros at its end.
        array: Array = np.asarray(value, dtype=object if isinstance(value, bytes) else None)
        return array if slice is None else np.ascontiguousarray(array[slice.index])

    def verify(self, *, at_most_bytes: int = 256_000_000) -> None:
        """Reads everything once, to have each tensor's checksum compared.

        Tensors that nobody reads are compared by nobody else: moving averages, for example.

        Args:
            at_most_bytes: A checkpoint of more is not read as a whole; what is read of it later is
                compared then.

        Raises:
            ConversionError: Names the first damaged tensor and its file.
        """
        files = {file for stored in self._tensors.values() for file in stored.files}
        if sum(file.stat().st_size for file in files) > at_most_bytes:
            return
        for key in self:
            self.read(key)

    def object_graph(self) -> Any:
        """The `TrackableObjectGraph` of a TensorFlow 2 checkpoint, None in others.

        Raises:
            ConversionError: It is there, but can't be read.
        """
        if OBJECT_GRAPH_KEY not in self:
            return None
        stored = self.read(OBJECT_GRAPH_KEY).item()
        try:
            return trackable_object_graph_pb2.TrackableObjectGraph.FromString(stored)
        except (DecodeError, TypeError) as error:
            file = self._stored(OBJECT_GRAPH_KEY).files[0]
            raise damaged_file(file, "its graph of objects can't be read") from error

    @cached_property
    def _path(self) -> str:
        return plain_path(self.files, self)

    @cached_property
    def _reader(self) -> Any:
        """TensorFlow's reader: it hands values over without a copy, and holds only the index."""
        return tf.train.load_checkpoint(self._path)

    def _stored(self, key: str) -> StoredTensor:
        try:
            return self._tensors[key]
        except KeyError:
            raise ConversionError(
                f"The checkpoint {self.prefix.name} holds no {key!r}.",
                received=str(self.prefix),
                expected=f"one of its {len(self._tensors)} keys",
            ) from None

    def _unreadable(self, key: str, stored: StoredTensor, error: Exception) -> ConversionError:
        names = ", ".join(file.name for file in stored.files)
        mismatch = "checksum" in str(error).lower()
        why = "checksum mismatch, some bytes were altered" if mismatch else "it can't be read"
        return ConversionError(
            f"The checkpoint is damaged: tensor {key} in {names}: {why}.",
            received=f"{self.prefix} ({str(error).splitlines()[0][:300]})",
            expected="the bytes that TensorFlow wrote",
            fix="Copy or download the file again and compare its checksum.",
        )


def _restored(
    path: str,
    key: str,
    slice: TensorSlice | None,  # noqa: A002
    dtype: str,
) -> Array:
    """By TensorFlow's operation: its reader does not put slices of V1 files together."""
    part = "" if slice is None else str(slice)
    with tf.init_scope(), tf.device("CPU:0"):
        (values,) = tf.raw_ops.RestoreV2(
            prefix=path, tensor_names=[key], shape_and_slices=[part], dtypes=[dtype]
        )
    array: Array = values.numpy()
    return array
