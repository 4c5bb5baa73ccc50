"""Graphs of TensorFlow 1 go the lean way too: loops of frames, conditions, variables in parts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mlflow_tfconv.device import Device
from mlflow_tfconv.exporters.stable_names import stable_names
from mlflow_tfconv.exporters.tf2onnx_log import errors_noted
from mlflow_tfconv.exporters.tf2onnx_model import lean_model
from mlflow_tfconv.exporters.traced_from_source import traced_from_source
from mlflow_tfconv.exporters.write_onnx import weights_taken, write_onnx
from mlflow_tfconv.runtimes.names import tidy_name
from mlflow_tfconv.runtimes.runtime import open_runtime

LEGACY = Path(__file__).parents[1] / "fixtures" / "legacy"


@pytest.mark.parametrize(
    "name",
    [
        "k04_tf1_slim_cifarnet",
        "k07_tf1_dynamic_rnn_lstm",
        "k08_tf1_frozen_cnn",
        "k10_tf1_partitioned_fixed",
        "k18_tf1_cond",
    ],
)
def test_weights_of_an_old_graph_are_held(name: str, tmp_path: Path) -> None:
    case = json.loads((LEGACY / name / "case.json").read_text())
    source = traced_from_source(LEGACY / name / case["entry"], device=Device())
    with errors_noted() as errors:
        lean = lean_model(source, opset=17, large_bytes=128)
    model = stable_names(lean.model)
    weights = weights_taken(model.graph, lean.tensors)
    write_onnx(model, weights, tmp_path / "model.onnx")
    assert errors == []
    assert weights
    with np.load(LEGACY / name / "expected.npz") as expected:
        with open_runtime(tmp_path / "model.onnx") as runtime:
            batch = {spec.name: spec for spec in runtime.inputs}
            asked = {tidy_name(case["inputs"][k]["tensor"]): k for k in case["inputs"]}
            result = runtime.predict({key: expected[f"in__{asked[key]}"] for key in batch})
        for key, output in case["outputs"].items():
            found = result.get(tidy_name(output["tensor"]))
            if found is not None:
                np.testing.assert_allclose(found, expected[f"out__{key}"], atol=1e-5, rtol=1e-4)
