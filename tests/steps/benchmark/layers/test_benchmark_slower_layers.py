"""Which layers became slower, beyond the noise of two profiles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from mlflow_tfconv.steps.benchmark.layers.profiled_model import ProfiledModel
from mlflow_tfconv.steps.benchmark.layers.slower_layers import compared_layers
from mlflow_tfconv.steps.benchmark.worker.onnx_nodes import GraphNode, NodeGraph

_FILE = NodeGraph(
    (
        GraphNode("conv", "Conv", ("x", "w"), ("c",)),
        GraphNode("relu", "Relu", ("c",), ("r",)),
        GraphNode("dense", "MatMul", ("r", "v"), ("y",)),
    ),
    frozenset({"w", "v"}),
    ("y",),
)


def _model(
    times: Mapping[str, Any], *, file: NodeGraph | None = _FILE, **changes: Any
) -> ProfiledModel:
    """Microseconds by "operator node" over runs; outputs are named as in the file."""
    outputs = {node.name: node.outputs for node in (file.nodes if file else ())}
    names = [key.split() for key in times]
    return ProfiledModel(
        **{
            "name": "m",
            "ran": tuple(GraphNode(n, o, (), outputs.get(n, ())) for o, n in names),
            "times_us": np.array(list(times.values()), dtype=np.float32),
            "file": file,
            "total_ms": float(np.median(np.sum(list(times.values()), axis=0))) / 1e3,
            "profiler_us": 0.0,
            "batch_size": 1,
            **changes,
        }
    )


_BASE = {"Conv relu": [500, 510, 505], "MatMul dense": [300, 305, 300]}


def test_a_layer_that_grew_is_told_with_both_times_and_operators() -> None:
    slower = _model({"QLinearConv relu": [700, 710, 705], "QLinearMatMul dense": [100, 100, 100]})
    found = compared_layers(_model(_BASE), slower)
    (layer,) = found.slower
    assert (layer.name, layer.reference_ms, layer.ms) == ("conv", 0.505, 0.705)
    assert (layer.reference_operators, layer.operators) == (("Conv",), ("QLinearConv",))
    assert found.slower_ms == pytest.approx(0.2)
    assert found.faster_ms == pytest.approx(0.2)
    assert found.matched_share == pytest.approx(1)


def test_conversions_count_for_the_layer_whose_output_they_convert() -> None:
    file = NodeGraph(
        (
            *_FILE.nodes[:2],
            GraphNode("q", "QuantizeLinear", ("r", "s"), ("r_q",)),
            GraphNode("dq", "DequantizeLinear", ("r_q", "s"), ("r_dq",)),
            GraphNode("dense", "MatMul", ("r_dq", "v"), ("y",)),
        ),
        frozenset({"w", "v", "s"}),
    )
    times = {"Conv relu": [500] * 3, "DequantizeLinear dq": [400] * 3, "MatMul dense": [300] * 3}
    (layer,) = compared_layers(_model(_BASE), _model(times, file=file)).slower
    assert layer.name == "conv"
    assert layer.operators == ("Conv", "DequantizeLinear")
    assert layer.ms == pytest.approx(0.9)


@pytest.mark.parametrize(
    "times",
    [
        {"Conv relu": [505, 515, 900], "MatMul dense": [300, 300, 300]},  # one disturbed run
        {"Conv relu": [530, 535, 540], "MatMul dense": [300, 300, 300]},  # less than a tenth
        {"Conv relu": [400, 600, 700], "MatMul dense": [300, 300, 300]},  # as quick at times
    ],
)
def test_noise_is_no_growth(times: dict[str, list[int]]) -> None:
    base = {"Conv relu": [480, 505, 530], "MatMul dense": [300, 305, 300]}
    assert compared_layers(_model(base), _model(times)).slower == ()


def test_what_the_profiler_cannot_tell_apart_is_no_growth() -> None:
    base = {"Conv relu": [500] * 3, "MatMul dense": [1] * 3}
    more = {"Conv relu": [500] * 3, "MatMul dense": [10] * 3}
    assert compared_layers(_model(base), _model(more)).slower[0].name == "dense"
    assert compared_layers(_model(base), _model(more, profiler_us=8.0)).slower == ()


def test_a_profile_from_a_busier_moment_is_brought_to_the_latency_of_the_turns() -> None:
    busy = _model({name: np.multiply(times, 2) for name, times in _BASE.items()})
    assert len(compared_layers(_model(_BASE), busy).slower) == 2
    known = compared_layers(_model(_BASE), busy, reference_p50_ms=0.8, p50_ms=0.8)
    assert known.slower == ()


def test_strangers_are_not_compared() -> None:
    file = NodeGraph(
        (GraphNode("a", "Relu", ("x",), ("b",)), GraphNode("c", "Erf", ("b",), ("d",)))
    )
    other = _model({"Relu a": [900] * 3, "Erf c": [900] * 3}, file=file)
    found = compared_layers(_model(_BASE), other)
    assert (found.slower, found.layers) == ((), 0)
    assert found.matched_share == 0


def test_exporters_that_number_tensors_do_not_make_strangers_alike() -> None:
    first = NodeGraph(
        (GraphNode("", "Conv", ("x",), ("1",)), GraphNode("", "Relu", ("1",), ("2",)))
    )
    other = NodeGraph(
        (GraphNode("", "Gemm", ("x",), ("1",)), GraphNode("", "Tanh", ("1",), ("2",)))
    )
    ran = (GraphNode("a", "A", ("x",), ("1",)), GraphNode("b", "B", ("1",), ("2",)))
    times = {"A a": [10] * 3, "B b": [10] * 3}
    sides = [_model(times, file=file, ran=ran) for file in (first, other)]
    assert compared_layers(sides[0], sides[0]).layers == 2
    assert compared_layers(*sides).layers == 0


def test_without_graphs_operations_of_a_keras_layer_are_one_layer() -> None:
    base = {
        "Conv2D m/conv/Conv2D": [90] * 3,
        "BiasAdd m/conv/BiasAdd": [10] * 3,
        "MatMul m/fc/MatMul": [50] * 3,
    }
    fused = {"_FusedConv2D m/conv/BiasAdd": [150] * 3, "MatMul m/fc/MatMul": [50] * 3}
    found = compared_layers(_model(base, file=None), _model(fused, file=None))
    assert found.layers == 2
    assert found.slower[0].reference_ms == pytest.approx(0.1)
    assert found.slower[0].ms == pytest.approx(0.15)
