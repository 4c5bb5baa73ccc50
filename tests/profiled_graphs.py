"""Small ONNX graphs whose profile is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROUNDS = 3


def saved(nodes: list[Any], path: Path, *, weights: dict[str, Any], size: int = 16) -> Path:
    """The nodes from `x` to `y`, (n, size) float32 each, as a checked file."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", size])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def loop_model(path: Path) -> Path:
    """A Loop of three rounds, each of which multiplies by a matrix from around it."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["on"], name="body/go"),
            helper.make_node("MatMul", ["state", "w"], ["after"], name="body/matmul"),
        ],
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, ["n", 16]),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("after", TensorProto.FLOAT, ["n", 16]),
        ],
    )
    nodes = [
        helper.make_node("Loop", ["rounds", "", "x"], ["h"], body=body, name="loop"),
        helper.make_node("Sigmoid", ["h"], ["y"], name="sigmoid"),
    ]
    rounds = np.array(ROUNDS, np.int64)
    return saved(nodes, path, weights={"rounds": rounds, "w": np.eye(16, dtype=np.float32)})


def two_branches(path: Path) -> Path:
    """Two products that can be computed side by side, and their product."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], name="left"),
        helper.make_node("MatMul", ["x", "v"], ["b"], name="right"),
        helper.make_node("Mul", ["a", "b"], ["y"], name="both"),
    ]
    eye = np.eye(256, dtype=np.float32)
    return saved(nodes, path, weights={"w": eye, "v": 2 * eye}, size=256)
