"""Half precision: weights and arithmetic in float16, inputs and outputs as they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from mlflow_tfconv.errors import CompressionError
from mlflow_tfconv.exporters.half_onnx import float16_model
from mlflow_tfconv.steps.compress.calibration import Examples
from mlflow_tfconv.steps.compress.config import QuantizeConfig
from mlflow_tfconv.steps.compress.onnx_files import read_onnx, write_onnx
from mlflow_tfconv.steps.compress.onnx_weights import weights_of
from mlflow_tfconv.steps.compress.patterns import matched

_LARGEST = float(np.finfo(np.float16).max)


def quantize_float16(
    source: Path, output: Path, config: QuantizeConfig, examples: Examples
) -> None:
    """Writes `source` with its weights and arithmetic in float16.

    Raises:
        CompressionError: A weight is too large for float16, or a pattern matches no node.
    """
    del examples  # nothing is measured
    model = read_onnx(source)
    _refuse_large_weights(model)
    excluded = matched(config.exclude, [node.name for node in model.graph.node], "nodes")
    write_onnx(float16_model(model, keep=excluded), output)


def _refuse_large_weights(model: onnx.ModelProto) -> None:
    for weight in weights_of(model):
        largest = float(np.abs(weight.array).max(initial=0))
        if largest > _LARGEST:
            raise CompressionError(
                f"The weight {weight.tensor.name} doesn't fit into float16.",
                received=f"a magnitude of {largest:g}",
                expected=f"at most {_LARGEST:g}",
                fix=f"Keep it in float32: `exclude: ['{weight.node.name}']`.",
            )
