"""Inputs and outputs bound on the device: the same numbers as with copies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from mlflow_tfconv.device import Device, DeviceOptions
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.runtimes.onnx_binding import BoundRun, CapturedRuns, bound_run
from mlflow_tfconv.runtimes.onnx_runtime import OnnxRuntime

BATCH = {"x": np.arange(12, dtype=np.float32).reshape(3, 4)}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`y = exp(x @ w)`, and with it a graph whose output's size depends on values."""
    return saved(tmp_path_factory.mktemp("models") / "exp.onnx", ["MatMul", "Exp"], ["n", 2])


def saved(path: Path, operators: list[str], shape: list[str | int]) -> Path:
    weights = onnx.numpy_helper.from_array(np.full((4, 2), 0.1, np.float32), "w")
    names = ["x", *(f"t{n}" for n in range(1, len(operators))), "y"]
    nodes = [
        onnx.helper.make_node(kind, [a, *(["w"] if kind == "MatMul" else [])], [b], name=kind)
        for kind, a, b in zip(operators, names[:-1], names[1:], strict=True)
    ]
    kind = onnx.TensorProto.INT64 if operators[-1] == "NonZero" else onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        nodes,
        "graph",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 4])],
        [onnx.helper.make_tensor_value_info("y", kind, shape)],
        [weights] if "MatMul" in operators else [],
    )
    opsets = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def test_a_bound_run_gives_what_a_plain_run_gives(model: Path) -> None:
    runtime = OnnxRuntime(model)
    call = runtime.bound_call_for(BATCH)
    assert isinstance(call, BoundRun)
    call()
    assert call.outputs  # allocated once, and used in every run
    np.testing.assert_array_equal(call.read()["y"], runtime.predict(BATCH)["y"])


def test_bound_inputs_are_the_runs_own_and_can_be_filled_anew(model: Path) -> None:
    runtime, given = OnnxRuntime(model), {"x": BATCH["x"].copy()}
    run = bound_run(runtime.session, given, Device())
    run.filled({"x": given["x"] + 1})
    run()
    np.testing.assert_array_equal(given["x"], BATCH["x"])
    np.testing.assert_array_equal(run.read()["y"], runtime.predict({"x": given["x"] + 1})["y"])


def test_outputs_whose_size_depends_on_values_are_allocated_in_each_run(tmp_path: Path) -> None:
    runtime = OnnxRuntime(saved(tmp_path / "open.onnx", ["NonZero"], [2, "found"]))
    call = runtime.bound_call_for(BATCH)
    assert isinstance(call, BoundRun)
    assert not call.outputs
    call.filled({"x": np.zeros((3, 4), np.float32)})
    call()
    assert call.read()["y"].shape == (2, 0)


def test_recorded_runs_keep_inputs_of_different_shapes_apart(model: Path) -> None:
    runtime = OnnxRuntime(model)
    runs = CapturedRuns(runtime.session, Device())
    for batch in (BATCH, {"x": BATCH["x"][:1]}, {"x": BATCH["x"] * 2}):
        np.testing.assert_array_equal(runs.predict(batch)["y"], runtime.predict(batch)["y"])


def test_text_is_not_bound(tmp_path: Path) -> None:
    value = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("Identity", ["words"], ["same"])
    sides = [value(name, onnx.TensorProto.STRING, ["n"]) for name in ("words", "same")]
    graph = onnx.helper.make_graph([node], "graph", sides[:1], sides[1:])
    opsets = [onnx.helper.make_opsetid("", 17)]
    onnx.save(
        onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "text.onnx"
    )
    runtime = OnnxRuntime(tmp_path / "text.onnx")
    assert runtime.bound_call_for({"words": np.array(["a"], object)}) is None
    with pytest.raises(ConversionError, match="can't be run with CUDA graphs"):
        CapturedRuns(runtime.session, Device())


@pytest.mark.gpu
@pytest.mark.parametrize("graphs", [False, True])
def test_on_a_real_gpu_bound_runs_and_cuda_graphs_give_the_same(model: Path, graphs: bool) -> None:
    device = Device.parse("cuda:0", DeviceOptions(cuda_graphs=graphs, tf32=False))
    runtime, on_cpu = OnnxRuntime(model, device=device), OnnxRuntime(model)
    for batch in (BATCH, {"x": BATCH["x"][:1]}, {"x": BATCH["x"] * 0.5}, BATCH):
        expected = on_cpu.predict(batch)["y"]
        np.testing.assert_allclose(runtime.predict(batch)["y"], expected, rtol=1e-4)
        call = runtime.bound_call_for(batch)
        assert call is not None
        call()
        call()


@pytest.mark.gpu
def test_on_a_real_gpu_a_bound_run_reads_what_was_filled_last(model: Path) -> None:
    device = Device.parse("cuda:0", DeviceOptions(tf32=False))
    runtime = OnnxRuntime(model, device=device)
    run = bound_run(runtime.session, BATCH, device)
    run.filled({"x": BATCH["x"] * 0.5})
    run()
    expected = OnnxRuntime(model).predict({"x": BATCH["x"] * 0.5})["y"]
    np.testing.assert_allclose(run.read()["y"], expected, rtol=1e-4)
