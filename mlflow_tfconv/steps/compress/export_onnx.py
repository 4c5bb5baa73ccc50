"""The ONNX file of a model that is in another format."""

from __future__ import annotations

from pathlib import Path

from mlflow_tfconv.device import Device
from mlflow_tfconv.exporters.onnx_from_traced import onnx_from_traced
from mlflow_tfconv.exporters.traced_from_source import traced_from_source
from mlflow_tfconv.runtimes.runtime import Runtime


def export_onnx(source: Path, output: Path, *, device: Device, opset: int = 17) -> Runtime:
    """Writes the ONNX file of a Keras file or a SavedModel.

    Returns:
        The source, ready to predict: what the file is to be compared with.

    Raises:
        ConversionError: The source is of another format, or it can't be read or exported.
    """
    traced = traced_from_source(source, device=device)
    onnx_from_traced(traced, output, opset=opset)
    return traced.open_reference()
