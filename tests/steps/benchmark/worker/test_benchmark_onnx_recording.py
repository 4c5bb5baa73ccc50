"""The file of ONNX Runtime's profiler, as it is written and as it may be damaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from profiled_graphs import ROUNDS, loop_model, two_branches

from mlflow_tfconv.steps.benchmark.worker.onnx_recording import onnx_recording

_RUN = '{"cat" : "Session","pid" :1,"tid" :7,"dur" :90,"ts" :5,"ph" : "X","name" :"model_run","args" : {}}'


def _profiled(model: Path, runs: int, size: int, **options: Any) -> Path:
    chosen = onnxruntime.SessionOptions()
    chosen.enable_profiling, chosen.profile_file_prefix = True, str(model.with_suffix(""))
    for name, value in options.items():
        setattr(chosen, name, value)
    session = onnxruntime.InferenceSession(str(model), chosen, providers=["CPUExecutionProvider"])
    for _ in range(runs):
        session.run(None, {"x": np.ones((2, size), np.float32)})
    return Path(session.end_profiling())


def _node(name: str, start: int, duration: int, operator: str = "Add", **more: str) -> str:
    told = {"op_name": operator, "provider": "CUDAExecutionProvider", **more}
    arguments = ",".join(f'"{key}" : "{value}"' for key, value in told.items())
    return (
        f'{{"cat" : "Node","pid" :1,"tid" :7,"dur" :{duration},"ts" :{start},"ph" : "X",'
        f'"name" :"{name}_kernel_time","args" : {{{arguments}}}}},'
    )


def _kernel(name: str, start: int, duration: int) -> str:
    return (
        f'{{"cat" : "Kernel","pid" :-1,"tid" :-1,"dur" :{duration},"ts" :{start},"ph" : "X",'
        f'"name" :"{name}","args" : {{"stream" : "13","op_name" : "Add"}}}},'
    )


def _written(folder: Path, *lines: str) -> Path:
    file = folder / "profile.json"
    file.write_text("\n".join(["[", *lines, _RUN, "]"]))
    return file


def test_each_run_holds_its_calls_and_warm_up_is_skipped(tmp_path: Path) -> None:
    recording = onnx_recording(_profiled(loop_model(tmp_path / "m.onnx"), 5, 16), skip=2)
    assert len(recording.runs) == 3
    for run in recording.runs:
        names = [call.node for call in run.calls]
        assert names.count("body/matmul") == ROUNDS
        assert names.count("loop") == names.count("sigmoid") == 1
    assert recording.initialization_us is not None
    assert recording.load_us is not None


def test_a_call_knows_its_operator_provider_and_inputs(tmp_path: Path) -> None:
    recording = onnx_recording(_profiled(loop_model(tmp_path / "m.onnx"), 1, 16))
    call = next(call for call in recording.runs[0].calls if call.node == "sigmoid")
    assert (call.operator, call.place) == ("Sigmoid", "CPUExecutionProvider")
    assert call.shapes == "float[2,16]"


def test_nodes_that_run_side_by_side_are_of_several_threads(tmp_path: Path) -> None:
    parallel = onnxruntime.ExecutionMode.ORT_PARALLEL
    model = two_branches(tmp_path / "m.onnx")
    recording = onnx_recording(
        _profiled(model, 4, 256, execution_mode=parallel, inter_op_num_threads=2)
    )
    assert {call.node for run in recording.runs for call in run.calls} == {"left", "right", "both"}
    assert all(len(run.calls) == 3 for run in recording.runs)


def test_names_that_are_not_escaped_are_read_all_the_same(tmp_path: Path) -> None:
    file = _written(tmp_path, _node('a "quoted" name', 10, 4), _node("plain", 20, 5))
    (run,) = onnx_recording(file).runs
    assert [(c.node, c.duration_us) for c in run.calls] == [('a "quoted" name', 4), ("plain", 5)]


def test_a_file_that_was_cut_off_tells_what_is_whole(tmp_path: Path) -> None:
    whole = _written(tmp_path, _node("a", 10, 4)).read_text()
    cut = tmp_path / "cut.json"
    cut.write_text(whole.replace("]", "") + _node("b", 20, 5)[:40])
    (run,) = onnx_recording(cut).runs
    assert [call.node for call in run.calls] == ["a"]


def test_what_the_gpu_did_stands_for_the_launch(tmp_path: Path) -> None:
    lines = (_node("a", 10, 4), _kernel("k1", 15, 20), _kernel("k2", 36, 30), _node("b", 20, 5))
    recording = onnx_recording(_written(tmp_path, *lines))
    calls = [(c.node, c.duration_us) for c in recording.runs[0].calls]
    assert calls == [("a", 20), ("b", 5), ("a", 30)]
    assert "GPU stream 13" in recording.thread_names.values()


def test_a_file_without_runs_has_none(tmp_path: Path) -> None:
    file = tmp_path / "profile.json"
    file.write_text(json.dumps([]))
    assert onnx_recording(file).runs == ()
