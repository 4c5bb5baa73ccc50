from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import onnx
from onnx import TensorProto, helper


def test_nothing_keeps_a_record_of_its_use(tmp_path: Path) -> None:
    """ONNX Runtime from 1.31 on writes one into the home, unless it is told not to."""
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", 2]) for n in "xy")
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "m.onnx")
    home = tmp_path / "home"
    home.mkdir()
    code = (
        "import numpy as np, mlflow_tfconv as tfconv\n"
        "print(tfconv.check_parity('m.onnx', 'm.onnx', samples=[{'x': np.ones((1, 2), 'f4')}]).passed)\n"
        "print(len(tfconv.benchmark(['m.onnx'], batch_sizes=(1,)).rows))"
    )
    environ = {name: v for name, v in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**environ, "HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["True", "1"]
    assert [path for path in home.rglob("*") if "onnxruntime" in path.name] == []
