"""Dynamic int8: int8 weights, activations brought to integers anew for each batch."""

from __future__ import annotations

import tempfile
from pathlib import Path

from onnxruntime.quantization import QuantType
from onnxruntime.quantization import quantize_dynamic as quantize

from mlflow_tfconv.exporters.save_onnx import is_large
from mlflow_tfconv.steps.compress.calibration import Examples
from mlflow_tfconv.steps.compress.config import QuantizeConfig
from mlflow_tfconv.steps.compress.patterns import matched
from mlflow_tfconv.steps.compress.simplify_onnx import simplify_onnx

# Not Conv: as ConvInteger it is six times slower than in float.
_OPERATIONS = ["Attention", "EmbedLayerNormalization", "Gather", "LSTM", "MatMul"]


def quantize_dynamic(
    source: Path, output: Path, config: QuantizeConfig, examples: Examples
) -> None:
    """Writes `source` with int8 weights in its matrix products, LSTMs and embeddings.

    Raises:
        CompressionError: A pattern matches no node.
    """
    del examples  # ranges are taken while the model runs
    with tempfile.TemporaryDirectory(prefix=".dynamic-", dir=output.parent) as folder:
        simplified = Path(folder) / "simplified.onnx"
        model = simplify_onnx(source, simplified)
        names = [node.name for node in model.graph.node]
        quantize(
            simplified,
            output,
            op_types_to_quantize=_OPERATIONS,
            per_channel=True,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=sorted(matched(config.exclude, names, "nodes")),
            use_external_data_format=is_large(model),
        )
