"""The whole worker on a real GPU, as it runs where only numpy and onnxruntime are installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from mlflow_tfconv.steps.benchmark.worker.__main__ import main
from mlflow_tfconv.steps.benchmark.worker.job import RESULT_FILE, Job

pytestmark = pytest.mark.gpu
TIME = {"min_time_s": 0.05, "min_count": 10, "warmup_time_s": 0.01, "warmup_limit_s": 0.5}
COMMANDS = (
    {"command": "open"},
    {"command": "gpu_state"},
    {"command": "time", "batch_size": 4, "turn": 0, **TIME},
    {"command": "bound", **TIME},
    {"command": "profile"},
    {"command": "energy", "seconds": 0.3, "rest_s": 0.2},
)


def answers(model: Path, folder: Path, device: str = "cuda:0", **options: Any) -> dict[str, Any]:
    folder.mkdir()
    job = Job(
        model=str(model),
        format="onnx",
        folder=str(folder),
        device=device,
        device_options=options,
        batch_sizes=(4,),
    )
    job.write(folder / "job.json")
    lines = [json.dumps(command) for command in COMMANDS]
    (folder / "commands").write_text("\n".join(lines), encoding="utf-8")
    main([str(folder / "job.json"), "--commands", str(folder / "commands")])
    told = json.loads((folder / RESULT_FILE).read_text(encoding="utf-8"))["answers"]
    return {one["command"]: one for one in told}


def saved(path: Path, operators: tuple[str, ...]) -> Path:
    """Products of (n, 64, 64) with a constant, and what follows."""
    weights = np.random.default_rng(0).normal(0, 0.1, (64, 64)).astype(np.float32)
    names = ["x", *(f"t{n}" for n in range(1, len(operators))), "y"]
    nodes = [
        onnx.helper.make_node(kind, [a, "w"] if kind == "MatMul" else [a], [b], name=f"{kind}_{b}")
        for kind, a, b in zip(operators, names[:-1], names[1:], strict=True)
    ]
    value = onnx.helper.make_tensor_value_info
    shape = ["n"] if operators[-1] == "Det" else ["n", 64, 64]
    graph = onnx.helper.make_graph(
        nodes,
        "graph",
        [value("x", onnx.TensorProto.FLOAT, ["n", 64, 64])],
        [value("y", onnx.TensorProto.FLOAT, shape)],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    opsets = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def test_a_model_on_the_gpu_is_timed_with_and_without_copies_and_proved_there(
    tmp_path: Path,
) -> None:
    told = answers(saved(tmp_path / "m.onnx", ("MatMul", "Relu", "MatMul")), tmp_path / "out")
    assert all("ok" in one for one in told.values()), told
    assert told["profile"]["ok"]["placement"]["node_share"] == 1
    assert told["gpu_state"]["ok"]["name"]
    assert told["bound"]["ok"]["batches"][0]["count"] >= 10
    assert told["energy"]["ok"]["sizes"][0]["j_per_1000"] > 0


def test_a_model_that_is_partly_on_the_cpu_is_found_out(tmp_path: Path) -> None:
    told = answers(saved(tmp_path / "m.onnx", ("MatMul", "Relu", "Det")), tmp_path / "out")
    placed = told["profile"]["ok"]["placement"]
    assert placed["elsewhere"] == {"Det": 1}
    assert placed["copies"]["nodes"] >= 1
    assert 0 < placed["node_share"] < 1


def test_cuda_graphs_are_replayed(tmp_path: Path) -> None:
    model = saved(tmp_path / "m.onnx", ("MatMul", "Relu") * 8)
    told = answers(model, tmp_path / "out", cuda_graphs=True)
    assert all("ok" in one for one in told.values()), told
    assert "CUDA graphs" in told["open"]["ok"]["surroundings"]["in_force"]


def test_a_model_that_graphs_can_not_hold_says_so(tmp_path: Path) -> None:
    model = saved(tmp_path / "m.onnx", ("MatMul", "Det"))
    told = answers(model, tmp_path / "out", cuda_graphs=True)
    assert "CUDA graphs" in told["open"]["error"]["what"]
