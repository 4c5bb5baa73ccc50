"""The ONNX file of a model that is in another format."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from mlflow_tfconv.device import Device
from mlflow_tfconv.errors import CompressionError
from mlflow_tfconv.exporters.onnx_from_traced import onnx_from_traced
from mlflow_tfconv.runtimes.formats import recognised
from mlflow_tfconv.runtimes.runtime import Runtime

#: Format to the file and function that read it.
_READERS = {
    "keras": "traced_from_keras",
    "keras_h5": "traced_from_keras",
    "saved_model": "traced_from_saved_model",
}


def export_onnx(source: Path, output: Path, *, device: Device, opset: int = 17) -> Runtime:
    """Writes the ONNX file of a Keras file or a SavedModel.

    Returns:
        The source, ready to predict: what the file is to be compared with.

    Raises:
        CompressionError: The source is of another format.
        ConversionError: It can't be read or exported.
    """
    found = recognised(source)
    if found.format not in _READERS:
        raise CompressionError(
            "Variants can't be made of this model as it is.",
            received=f"{source}: {found}",
            expected="an ONNX file, a Keras file or a SavedModel",
            fix="Convert it first: `tfconv convert PATH OUTPUT`.",
        )
    name = _READERS[found.format]
    reader = import_module(f"mlflow_tfconv.exporters.{name}")
    traced = getattr(reader, name)(found.path, device=device)
    onnx_from_traced(traced, output, opset=opset)
    reference: Runtime = traced.reference
    return reference
