"""The worker's commands on memory, on a real session; TensorFlow's allocator on a fake one."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mlflow_tfconv.device import Device
from mlflow_tfconv.errors import MissingLibraryError
from mlflow_tfconv.steps.benchmark.worker.allocator_memory import (
    TensorflowAllocator,
    arenas_of_profile,
    tensorflow_allocator,
)
from mlflow_tfconv.steps.benchmark.worker.arena import arena
from mlflow_tfconv.steps.benchmark.worker.estimating import estimate
from mlflow_tfconv.steps.benchmark.worker.job import Job
from mlflow_tfconv.steps.benchmark.worker.memory import memory
from mlflow_tfconv.steps.benchmark.worker.opened_model import OpenedModel
from mlflow_tfconv.steps.benchmark.worker.opening import open_model

_EXAMPLE = 4 * 100_000  # bytes that one example takes in the model below


@pytest.fixture
def wide_model(tmp_path: Path) -> Path:
    """x (n, 8) -> 100,000 floats an example -> their sum."""
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["h"]),
            helper.make_node("Softmax", ["h"], ["s"]),
            helper.make_node("ReduceMax", ["s"], ["y"], axes=[1]),
        ],
        "wide",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1])],
        [numpy_helper.from_array(np.ones((8, 100_000), np.float32), "w")],
    )
    path = tmp_path / "wide.onnx"
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def opened(model: Path, tmp_path: Path, **changes: Any) -> OpenedModel:
    """The model, open."""
    work = tmp_path / "work"
    work.mkdir()
    job = Job(model=str(model), format="onnx", folder=str(work), batch_sizes=(64, 1, 16), **changes)
    model_ = OpenedModel.of(job)
    open_model(model_)
    return model_


def test_the_sizes_are_run_in_ascending_order_and_each_has_a_peak(
    wide_model: Path, tmp_path: Path
) -> None:
    told = memory(opened(wide_model, tmp_path), budget_mb=500)
    assert [phase["name"] for phase in told["phases"]] == ["load", "b1", "b16", "b64"]
    peaks = {phase["name"]: phase["host_peak_bytes"] for phase in told["phases"]}
    assert peaks["b64"] - peaks["b16"] > 40 * _EXAMPLE
    assert told["batch_sizes"] == [1, 16, 64]
    assert told["host"]["peak_bytes"] == max(peaks.values())
    assert told["host"]["baseline_bytes"] < told["host"]["peak_bytes"]
    assert told["budget_mb"] == 500
    assert told["gpu_limit_bytes"] is None
    assert (tmp_path / "work" / told["curve"]["file"]).is_file()


def test_the_estimate_is_told_for_the_same_sizes_with_the_largest_batch(
    wide_model: Path, tmp_path: Path
) -> None:
    told = estimate(opened(wide_model, tmp_path), budget_mb=500)
    assert told["largest_size"] == 64
    assert told["activations"]["64"]["size_bytes"] == 64 * (_EXAMPLE + 4)
    assert told["peak_mb"][str(64)] > told["peak_mb"][str(1)]
    assert 64 < told["largest_batch"] < 2000
    assert told["complete"]


def test_without_onnx_installed_the_estimate_says_so(
    wide_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = opened(wide_model, tmp_path)
    room = "mlflow_tfconv.steps.benchmark.estimate.onnx_estimate"
    monkeypatch.setitem(sys.modules, room, None)  # importing it raises ImportError
    with pytest.raises(MissingLibraryError, match="package onnx"):
        estimate(model)


def test_the_arena_holds_at_least_what_is_in_use(wide_model: Path, tmp_path: Path) -> None:
    told = arena(opened(wide_model, tmp_path))
    assert told["batch_size"] == 64
    if not told["arenas"]:
        pytest.skip("this ONNX Runtime tells nothing of its arenas")
    found = told["arenas"]["CPUExecutionProvider"]
    assert found["reserved"] >= found["in_use_peak"] >= 64 * _EXAMPLE
    assert not list((tmp_path / "work").glob("arena_profile*"))


def node(provider: str, in_use: int, reserved: int) -> dict[str, Any]:
    """An event of a profile."""
    told = {"mem_in_use_peak": in_use, "mem_arena_held": reserved}
    told |= {"mem_bytes_in_use": in_use, "mem_bytes_requested_in_use": in_use - 5}
    return {"cat": "Node", "args": {"provider": provider, **{k: str(v) for k, v in told.items()}}}


def test_each_provider_of_a_profile_has_an_arena_of_its_own() -> None:
    events = [node("CUDA", 10, 20), node("CUDA", 30, 40), node("CPU", 1, 2), {"args": {}}, {}]
    found = arenas_of_profile(events)
    assert (found["CUDA"].in_use_peak, found["CUDA"].reserved) == (30, 40)
    assert found["CUDA"].wasted_peak == 5
    assert found["CPU"].reserved == 2


def test_a_profile_without_statistics_or_without_an_arena_tells_nothing() -> None:
    assert arenas_of_profile([{"args": {"provider": "CPU"}}]) == {}
    assert arenas_of_profile([node("CPU", 0, 0)]) == {}


class FakeTensorflow:
    """A GPU's allocator whose statistics the test sets."""

    def __init__(self, known: bool = True) -> None:
        self.current, self.highest, self.known = 100, 900, known
        own = SimpleNamespace(get_memory_info=self.told, reset_memory_stats=self.reset)
        self.config = SimpleNamespace(experimental=own)
        self.errors = SimpleNamespace(OpError=RuntimeError)

    def told(self, name: str) -> dict[str, int]:
        if not self.known:
            raise ValueError(f"Allocator stats not available for device '{name}'")
        return {"current": self.current, "peak": self.highest}

    def reset(self, name: str) -> None:
        self.highest = self.current


def test_tensorflows_allocator_has_a_peak_for_each_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeTensorflow()
    monkeypatch.setitem(sys.modules, "tensorflow", fake)
    allocator = tensorflow_allocator(Device.parse("cuda:0"))
    assert allocator is not None
    assert allocator.peak() is None
    assert allocator.peak_since() == 900
    fake.highest = 500
    assert allocator.peak_since() == 500
    assert allocator.peak() == 900
    assert allocator.in_use() == 100


def test_an_allocator_without_statistics_is_unknown_and_not_0(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", FakeTensorflow(known=False))
    allocator = TensorflowAllocator()
    assert allocator.peak_since() is None
    assert allocator.in_use() is None
    assert allocator.peak() is None


def test_on_the_cpu_tensorflow_has_no_allocator_of_its_own() -> None:
    assert tensorflow_allocator(Device()) is None


@pytest.mark.gpu
def test_on_a_gpu_memory_is_measured_beside_its_limit(wide_model: Path, tmp_path: Path) -> None:
    options = {"memory_limit_mb": 1000}
    model = opened(wide_model, tmp_path, device="cuda:0", device_options=options)
    told = memory(model)
    assert told["gpu"]["method"].startswith("nvml")
    assert told["gpu"].get("peak_bytes", 1) > 64 * _EXAMPLE
    assert told["gpu_limit_bytes"] == 1_000_000_000
    found = arena(model)["arenas"]
    assert found == {} or found["CUDAExecutionProvider"]["reserved"] > 0
