"""Reading and writing ONNX files, those with external data included."""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx
from google.protobuf.message import EncodeError

from mlflow_tfconv.errors import CompressionError
from mlflow_tfconv.exporters.save_onnx import save_onnx
from mlflow_tfconv.formats.model_files import own_data, place_onnx, require_data
from mlflow_tfconv.steps.compress.onnx_weights import constants_of


def read_onnx(path: Path) -> onnx.ModelProto:
    """The model with all its weights.

    Raises:
        CompressionError: The file can't be read.
        ConversionError: Its external data are missing, or lie outside of its folder.
    """
    require_data(path)
    try:
        return onnx.load(path)
    except Exception as error:  # protobuf's, onnx's and the system's share no base of their own
        raise CompressionError(
            "The ONNX file can't be read.",
            received=f"{path}: {error}",
            expected="an ONNX model, with its external data beside it",
            fix="Convert the model again, or check that the file is complete. External data have "
            "to be files of their own: copy them where they are links.",
        ) from error


def write_onnx(model: onnx.ModelProto, path: Path) -> None:
    """Writes one file, or, when it is too large for that, the weights beside it.

    Raises:
        CompressionError: What is not weights is too large by itself.
    """
    try:
        save_onnx(model, path)
    except (EncodeError, ValueError) as error:
        raise CompressionError(
            "The variant is too large for an ONNX file.",
            received=f"{path.name}: {error}",
            expected="less than 2 GB beside the weights",
        ) from error


def opset_of(path: Path) -> int:
    """Version of the ONNX operator set that the file is written in."""
    versions = onnx.load(path, load_external_data=False).opset_import
    return max(int(entry.version) for entry in versions if entry.domain in ("", "ai.onnx"))


def move_onnx(source: Path, target: Path) -> None:
    """Moves an ONNX file of ours; its external data are called after it.

    What was at `target` is replaced as a whole.
    """
    with tempfile.TemporaryDirectory(prefix=".move-", dir=source.parent) as folder:
        named = Path(folder) / target.name
        if require_data(source):
            model = onnx.load(source, load_external_data=False)
            _name_data(model, own_data(named).name)
            named.write_bytes(model.SerializeToString(deterministic=True))
            own_data(source).replace(own_data(named))
        else:
            source.replace(named)
        place_onnx(named, target)


def _name_data(model: onnx.ModelProto, name: str) -> None:
    for tensor in constants_of(model):
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = name
