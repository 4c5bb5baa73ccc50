"""Which nodes ONNX Runtime really computes in integers, as it has laid the model out for itself."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnxruntime

from mlflow_tfconv.steps.compress.onnx_weights import graphs_of

_INTEGER = (
    "ConvInteger",
    "DynamicQuantize",
    "MatMulBnb4",
    "MatMulInteger",
    "MatMulNBits",
    "QAttention",
    "QEmbed",
    "QGemm",
    "QLinear",
)
_NOT_COMPUTING = ("DynamicQuantizeLinear",)
#: Where ONNX Runtime puts the weights of what it writes: one file can't hold more than 2 GiB.
_DATA_OF_COPY = "session.optimized_model_external_initializers_file_name"
#: What carries the arithmetic of a model; the rest may stay in float and nobody minds.
_FLOAT = {
    "Attention": "Attention",
    "Conv": "Conv",
    "ConvTranspose": "ConvTranspose",
    "FusedConv": "Conv",
    "FusedGemm": "Gemm",
    "FusedMatMul": "MatMul",
    "GRU": "GRU",
    "Gemm": "Gemm",
    "LSTM": "LSTM",
    "MatMul": "MatMul",
    "NhwcFusedConv": "Conv",
    "RNN": "RNN",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCounts:
    """How a model is computed.

    Attributes:
        integer: Number of nodes in integers.
        floating: Type of operation to the number of its nodes in float.
    """

    integer: int
    floating: Mapping[str, int]


def integer_nodes(path: Path) -> NodeCounts:
    """Counts in the graph that ONNX Runtime makes of the file for the CPU."""
    with tempfile.TemporaryDirectory() as folder:
        laid_out = Path(folder) / "model.onnx"
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.optimized_model_filepath = str(laid_out)
        # One below the highest, whose layouts hang on this machine's processor.
        options.add_session_config_entry(_DATA_OF_COPY, "model.onnx.data")
        level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.graph_optimization_level = level
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        model = onnx.load(laid_out, load_external_data=False)
    types = [node.op_type for graph in graphs_of(model.graph) for node in graph.node]
    integer = [t for t in types if t.startswith(_INTEGER) and t not in _NOT_COMPUTING]
    return NodeCounts(
        integer=len(integer), floating=dict(Counter(_FLOAT[t] for t in types if t in _FLOAT))
    )
