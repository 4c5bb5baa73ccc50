"""The preparation without which quantization brings half of its gain."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnxruntime.quantization.shape_inference import quant_pre_process

from mlflow_tfconv.exporters.save_onnx import is_large
from mlflow_tfconv.formats.onnx_data import onnx_data
from mlflow_tfconv.steps.compress.onnx_files import read_onnx, write_onnx


def simplify_onnx(source: Path, output: Path) -> onnx.ModelProto:
    """Writes `source` with constants folded, batch normalization fused and shapes inferred.

    Returns:
        What was written; each of its nodes has a name.
    """
    # What ONNX Runtime writes in between would look for the source's data in another folder.
    apart = is_large(read_onnx(source)) or bool(onnx_data(source))
    # Symbolic shapes are what Transformers fail on, and they change nothing for convolutions.
    quant_pre_process(
        source,
        output,
        skip_symbolic_shape=True,
        save_as_external_data=apart,
        all_tensors_to_one_file=apart,
    )
    model = read_onnx(output)
    unnamed = [(i, node) for i, node in enumerate(model.graph.node) if not node.name]
    for position, node in unnamed:
        node.name = f"{node.op_type}_{position}"
    if unnamed:
        write_onnx(model, output)
    return model
