"""Static int8: weights and activations as integers, with ranges measured on calibration data."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType
from onnxruntime.quantization import quantize_static as quantize

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.exporters.save_onnx import is_large
from mlflow_tfconv.runtimes.runtime import open_runtime
from mlflow_tfconv.steps.compress.calibration import Batch, Examples
from mlflow_tfconv.steps.compress.config import QuantizeConfig
from mlflow_tfconv.steps.compress.onnx_weights import nodes_with_weights
from mlflow_tfconv.steps.compress.patterns import matched
from mlflow_tfconv.steps.compress.simplify_onnx import simplify_onnx


def quantize_static(source: Path, output: Path, config: QuantizeConfig, examples: Examples) -> None:
    """Writes `source` as a QDQ model: uint8 activations, int8 weights with a scale a channel.

    That is what x86 processors with VNNI compute fastest. The model is first simplified (constants
    folded, batch normalization fused), without which half of the gain is lost. What comes before
    the first and after the last node with weights (normalization of inputs, softmax) stays in
    float: integers gain nothing there and cost accuracy.

    Raises:
        CompressionError: The calibration data don't fit, or a pattern matches no node.
    """
    batches = examples.sample(_inputs_of(source), config.samples)
    with tempfile.TemporaryDirectory(prefix=".static-", dir=output.parent) as folder:
        simplified = Path(folder) / "simplified.onnx"
        model = simplify_onnx(source, simplified)
        excluded = matched(config.exclude, [node.name for node in model.graph.node], "nodes")
        quantize(
            simplified,
            output,
            _Reader(batches),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=sorted(_ends(model.graph) | excluded),
            use_external_data_format=is_large(model),
        )


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # the base has no types
    """Hands ONNX Runtime one batch after another, and None at the end."""

    def __init__(self, batches: Iterator[Batch]) -> None:
        self._batches = batches

    def get_next(self) -> dict[str, Any] | None:
        """The next batch."""
        return next(self._batches, None)


def _inputs_of(source: Path) -> tuple[TensorSpec, ...]:
    with open_runtime(source, "onnx") as runtime:
        return runtime.inputs


def _ends(graph: onnx.GraphProto) -> set[str]:
    """Names of the nodes that have no node with weights before them, or none after them."""
    core = nodes_with_weights(graph)
    makers = {name: node.name for node in graph.node for name in node.output}
    sources = {n.name: [makers[i] for i in n.input if i in makers] for n in graph.node}
    users: dict[str, list[str]] = defaultdict(list)
    for name, before in sources.items():
        for earlier in before:
            users[earlier].append(name)
    between = _reached(core, users) & _reached(core, sources)
    return {node.name for node in graph.node} - core - between


def _reached(start: Iterable[str], steps: Mapping[str, list[str]]) -> set[str]:
    """All names that can be reached from `start`, which is not part of it unless on a way."""
    reached: set[str] = set()
    waiting = list(start)
    while waiting:
        new = set(steps.get(waiting.pop(), ())) - reached
        reached |= new
        waiting.extend(new)
    return reached
