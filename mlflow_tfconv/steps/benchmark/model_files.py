"""The files that a model on disk consists of: their size and their digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from mlflow_tfconv.errors import BenchmarkError


def model_files(path: Path) -> list[Path]:
    """A folder's files; or the file, with the external data that an ONNX file names.

    Raises:
        BenchmarkError: There is nothing at the path.
    """
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file())
    if not path.is_file():
        raise BenchmarkError(
            "There is no model at this path.",
            received=str(path),
            expected="an ONNX file, a SavedModel folder or a Keras file",
            fix="Check the path.",
        )
    return [path, *sorted(set(_external_data(path)))]


def size_bytes(path: Path) -> int:
    """All files together."""
    return sum(file.stat().st_size for file in model_files(path))


def files_digest(path: Path) -> str:
    """SHA-256 over all files and their names below the model."""
    whole = hashlib.sha256()
    for file in model_files(path):
        name = file.relative_to(path if path.is_dir() else path.parent).as_posix()
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        whole.update(f"{name}\0{digest}\n".encode())
    return whole.hexdigest()


def _external_data(path: Path) -> Iterator[Path]:
    import onnx  # only ONNX files need it

    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception:  # noqa: BLE001 (protobuf's errors have no public base; then it is no ONNX file)
        return
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            file = path.parent / entry.value
            if entry.key == "location" and file.is_file():
                yield file
