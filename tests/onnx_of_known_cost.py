"""ONNX files whose cost is known: bytes of activations and of weights, rounds of a loop.

Needs numpy and onnx only, so that benchmarks use it as well as tests.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_FLOAT_BYTES = 4
_WIDTH = 256  # of the square matrices that a loop multiplies
_ROW = 64  # floats in a row of a table of weights


def saved(graph: onnx.GraphProto, path: Path, *, opset: int = 17, **options: Any) -> Path:
    """The graph as a checked file; `options` are those of `onnx.save`."""
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, path, **options)
    return path


def value(name: str, kind: int = TensorProto.FLOAT, shape: Any = ("n", 4)) -> onnx.ValueInfoProto:
    """An input or output."""
    return helper.make_tensor_value_info(name, kind, shape)


def of_activations(path: Path, size_bytes: int) -> Path:
    """`x (n, 4) -> y (n, 1)` that holds one tensor of `size_bytes`, or a little more, meanwhile.

    The tensor depends on the input, so that no optimizer computes it beforehand, and what follows
    it only reads it.
    """
    count = -(-size_bytes // _FLOAT_BYTES)
    constants = [
        numpy_helper.from_array(np.array([1, count], np.int64), "shape"),
        numpy_helper.from_array(np.array([1], np.int64), "rows"),
    ]
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["one"], axes=[0, 1], keepdims=1),
        helper.make_node("Expand", ["one", "shape"], ["large"]),
        helper.make_node("ReduceMax", ["large"], ["most"], axes=[0, 1], keepdims=1),
        helper.make_node("ReduceSum", ["x", "rows"], ["sums"], keepdims=1),
        helper.make_node("Add", ["sums", "most"], ["y"]),
    ]
    outputs = [value("y", shape=["n", 1])]
    return saved(helper.make_graph(nodes, "activations", [value("x")], outputs, constants), path)


def of_weights(path: Path, size_bytes: int, *, external: bool = False) -> Path:
    """`x (n, 4) -> y (n, 4, 64)`: looks rows up in a table of `size_bytes` that nothing repacks."""
    rows = -(-size_bytes // (_ROW * _FLOAT_BYTES))
    table = np.random.default_rng(0).random((rows, _ROW), np.float32)
    nodes = [
        helper.make_node("Cast", ["x"], ["rows"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "rows"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "weights",
        [value("x")],
        [value("y", shape=["n", 4, _ROW])],
        [numpy_helper.from_array(table, "table")],
    )
    options = {"save_as_external_data": True, "location": f"{path.name}.data"} if external else {}
    return saved(graph, path, **options)


def of_rounds(path: Path, rounds: int) -> Path:
    """`x (n, 4) -> y (n, 4)` that multiplies matrices `rounds` times; 2^62 of them never end.

    A loop takes nearly all of its time, and twice the rounds take twice as long.
    """
    matrix = np.random.default_rng(0).random((_WIDTH, _WIDTH), np.float32) / _WIDTH
    constants = [
        numpy_helper.from_array(np.array(rounds, np.int64), "rounds"),
        numpy_helper.from_array(matrix, "matrix"),
    ]
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["one"], axes=[0, 1], keepdims=1),
        helper.make_node("Add", ["matrix", "one"], ["start"]),
        helper.make_node("Loop", ["rounds", "", "start"], ["end"], body=_multiplied(), name="loop"),
        helper.make_node("ReduceMax", ["end"], ["most"], axes=[0, 1], keepdims=1),
        helper.make_node("Add", ["x", "most"], ["y"]),
    ]
    graph = helper.make_graph(nodes, "rounds", [value("x")], [value("y")], constants)
    return saved(graph, path)


def _multiplied() -> onnx.GraphProto:
    """The body of a loop: its state times `matrix` of the graph around it."""
    return helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["on"]),
            helper.make_node("MatMul", ["state", "matrix"], ["after"]),
        ],
        "body",
        [
            value("round", TensorProto.INT64, []),
            value("go", TensorProto.BOOL, []),
            value("state", shape=None),
        ],
        [value("on", TensorProto.BOOL, []), value("after", shape=None)],
    )


def of_matrices(path: Path, width: int, *, layers: int = 2) -> Path:
    """`x (n, 4) -> y (n, 3)` through dense layers of `width` units: an ordinary small model."""
    generator = np.random.default_rng(0)
    widths = [4, *[width] * (layers - 1), 3]
    nodes, constants, last = [], [], "x"
    for number, (rows, columns) in enumerate(itertools.pairwise(widths)):
        kernel = generator.normal(0, rows**-0.5, (rows, columns)).astype(np.float32)
        constants.append(numpy_helper.from_array(kernel, f"kernel_{number}"))
        nodes += [
            helper.make_node("MatMul", [last, f"kernel_{number}"], [f"sum_{number}"]),
            helper.make_node("Relu", [f"sum_{number}"], [f"layer_{number}"]),
        ]
        last = f"layer_{number}"
    nodes.append(helper.make_node("Identity", [last], ["y"]))
    graph = helper.make_graph(nodes, "dense", [value("x")], [value("y", shape=["n", 3])], constants)
    return saved(graph, path)
