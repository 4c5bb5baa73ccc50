"""Saves an ONNX model that is in memory with its weights."""

from __future__ import annotations

from pathlib import Path

import onnx
from google.protobuf.message import EncodeError

from mlflow_tfconv.formats.model_files import own_data

# A protobuf message can't hold more than 2 GiB; below that one file is easier to carry around.
_LARGEST_SINGLE_FILE = 1_800_000_000


def save_onnx(model: onnx.ModelProto, path: Path) -> None:
    """Writes one file, or, when it is too large for that, the weights beside it.

    Raises:
        EncodeError: What is not weights is too large by itself (on some versions ValueError).
    """
    data = own_data(path)
    data.unlink(missing_ok=True)  # onnx would write behind what is there
    large = is_large(model)
    onnx.save(model, str(path), save_as_external_data=large, location=data.name if large else None)


def is_large(model: onnx.ModelProto) -> bool:
    """Whether the weights have to lie in a file of their own."""
    if sum(len(tensor.raw_data) for tensor in model.graph.initializer) > _LARGEST_SINGLE_FILE:
        return True
    try:
        return bool(model.ByteSize() > _LARGEST_SINGLE_FILE)
    except EncodeError:  # beyond what a message can hold
        return True
