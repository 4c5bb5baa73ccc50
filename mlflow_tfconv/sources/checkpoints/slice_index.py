"""What the files of a V1 checkpoint hold.

Each file is one table. Its first entry is a `SavedTensorSlices` that lists the tensors; the others
hold their values, which TensorFlow checks when it reads them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow.core.util import saved_tensor_slice_pb2

from mlflow_tfconv.sources.checkpoints.damaged_file import damaged_file
from mlflow_tfconv.sources.checkpoints.sorted_table import SortedTable
from mlflow_tfconv.sources.checkpoints.stored_tensor import StoredTensor, dtype_name, shape_of

#: What Snappy can do at best, generously: more values than this a byte are a lie.
_VALUES_A_BYTE = 64


def tensors_of_slices(files: Sequence[Path]) -> dict[str, StoredTensor]:
    """Key to what is stored under it, over all files of the checkpoint.

    Raises:
        ConversionError: A file is cut off or altered.
    """
    tensors: dict[str, StoredTensor] = {}
    for file in files:
        for tensor in _listed(file):
            tensors[tensor.name] = _tensor(file, tensor, tensors.get(tensor.name))
    return tensors


def _listed(file: Path) -> Any:
    try:
        saved = saved_tensor_slice_pb2.SavedTensorSlices.FromString(SortedTable(file).first_value())
    except DecodeError as error:
        raise damaged_file(file, "its list of tensors can't be read") from error
    return saved.meta.tensor


def _tensor(file: Path, tensor: Any, before: StoredTensor | None) -> StoredTensor:
    try:
        dtype, shape = dtype_name(tensor.type), shape_of(tensor.shape)
        if math.prod(shape) > _VALUES_A_BYTE * file.stat().st_size * max(1, len(tensor.slice)):
            raise ValueError(f"shape {list(shape)} is more than the file can hold")
    except ValueError as error:
        raise damaged_file(file, f"the entry of {tensor.name}: {error}") from error
    return StoredTensor(
        dtype=dtype,
        shape=shape,
        in_slices=before is not None or len(tensor.slice) > 1,
        files=(*(before.files if before else ()), file),
    )
