"""The digest of a model on disk, with all the files that it consists of."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mlflow_tfconv.errors import BenchmarkError
from mlflow_tfconv.formats.model_files import model_files


def files_digest(path: Path) -> str:
    """SHA-256 over all files and their names below the model.

    Raises:
        BenchmarkError: There is nothing at the path.
        ConversionError: An ONNX file names data outside of its folder.
    """
    if not path.exists():
        raise BenchmarkError(
            "There is no model at this path.",
            received=str(path),
            expected="an ONNX file, a SavedModel folder or a Keras file",
            fix="Check the path.",
        )
    whole = hashlib.sha256()
    for file in model_files(path):
        name = file.relative_to(path if path.is_dir() else path.parent).as_posix()
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        whole.update(f"{name}\0{digest}\n".encode())
    return whole.hexdigest()
