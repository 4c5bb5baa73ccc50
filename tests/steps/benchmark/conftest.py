"""Tiny ONNX models, and a worker that is quick."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mlflow_tfconv.steps.benchmark.config import BenchmarkConfig
from mlflow_tfconv.steps.benchmark.memory_options import MemoryOptions

MakeModel = Callable[..., Path]


def weights(noise: float = 0.0) -> np.ndarray[Any, Any]:
    """(4, 3) float32, the same each time but for the noise."""
    generator = np.random.default_rng(0)
    exact = generator.normal(size=(4, 3))
    return (exact + noise * generator.normal(size=(4, 3))).astype(np.float32)


@pytest.fixture(scope="session")
def quick() -> BenchmarkConfig:
    """Timings of milliseconds and one process a variant: no profile and no estimate of memory."""
    return BenchmarkConfig(
        batch_sizes=(1, 4),
        min_time_s=0.004,
        min_count=5,
        blocks=2,
        retries=0,
        warmup_time_s=0.0,
        warmup_limit_s=0.005,
        time_limit_s=60,
        profile=False,
        memory=MemoryOptions(estimate=False),
    )


@pytest.fixture
def make_model(write_model: MakeModel, tmp_path: Path) -> MakeModel:
    """Writes `y = x @ weights` into the test's folder."""
    return functools.partial(write_model, tmp_path)


@pytest.fixture(scope="session")
def write_model() -> MakeModel:
    """Writes `y = x @ weights` as ONNX, with an operation after it when one is named."""

    def write(
        folder: Path,
        name: str = "m",
        *,
        noise: float = 0.0,
        then: str = "Identity",
        batch: Any = "n",
    ) -> Path:
        graph = helper.make_graph(
            [
                helper.make_node("MatMul", ["x", "w"], ["h"]),
                helper.make_node(then, ["h"], ["y"]),
            ],
            "tiny",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 4])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 3])],
            [numpy_helper.from_array(weights(noise), "w")],
        )
        return saved(graph, folder / f"{name}.onnx")

    return write


@pytest.fixture
def endless_model(tmp_path: Path) -> Path:
    """An ONNX loop of 2^62 rounds."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["on"]),
            helper.make_node("Identity", ["state"], ["after"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("after", TensorProto.FLOAT, None),
        ],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["rounds", "", "x"], ["y"], body=body)],
        "endless",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(np.array(2**62, np.int64), "rounds")],
    )
    return saved(graph, tmp_path / "endless.onnx")


def saved(graph: Any, path: Path) -> Path:
    """The graph as a checked file."""
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


@pytest.fixture
def crashing(tmp_path: Path) -> tuple[str, ...]:
    """A worker that segfaults, as a runtime with a bug does."""
    script = tmp_path / "crash.sh"
    script.write_text("echo 'about to compute' >&2\nkill -SEGV $$\n")
    return ("/bin/sh", str(script))
