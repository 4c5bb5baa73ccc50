"""Reading and writing ONNX files, those with external data included."""

from __future__ import annotations

from pathlib import Path

import onnx

from mlflow_tfconv.errors import CompressionError

# A protobuf message can't hold more than 2 GiB; below that one file is easier to carry around.
_LARGEST_SINGLE_FILE = 1_800_000_000


def read_onnx(path: Path) -> onnx.ModelProto:
    """The model with all its weights.

    Raises:
        CompressionError: The file can't be read.
    """
    try:
        return onnx.load(path)
    except Exception as error:  # protobuf's, onnx's and the system's share no base of their own
        raise CompressionError(
            "The ONNX file can't be read.",
            received=f"{path}: {error}",
            expected="an ONNX model, with its external data beside it",
            fix="Convert the model again, or check that the file is complete.",
        ) from error


def write_onnx(model: onnx.ModelProto, path: Path) -> None:
    """Writes one file, or, when it is too large for that, the weights beside it."""
    if is_large(model):
        onnx.save(
            model,
            path,
            save_as_external_data=True,
            all_tensors_to_one_file=True,
            location=f"{path.name}.data",
        )
    else:
        onnx.save(model, path)


def is_large(model: onnx.ModelProto) -> bool:
    """Whether the weights have to lie in a file of their own."""
    return bool(model.ByteSize() > _LARGEST_SINGLE_FILE)


def onnx_file_set(path: Path) -> tuple[Path, ...]:
    """The ONNX file and the files with its external data."""
    model = onnx.load(path, load_external_data=False)
    locations = {
        entry.value
        for tensor in model.graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return (path, *(path.parent / location for location in sorted(locations)))


def opset_of(path: Path) -> int:
    """Version of the ONNX operator set that the file is written in."""
    versions = onnx.load(path, load_external_data=False).opset_import
    return max(int(entry.version) for entry in versions if entry.domain in ("", "ai.onnx"))


def move_onnx(source: Path, target: Path) -> None:
    """Moves an ONNX file with its external data, which are named after it."""
    files = onnx_file_set(source)
    if len(files) == 1:
        source.replace(target)
        return
    write_onnx(read_onnx(source), target)
    for file in files:
        file.unlink()
