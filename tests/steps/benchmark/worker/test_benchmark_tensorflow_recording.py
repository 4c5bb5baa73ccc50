"""What TensorFlow's profiler writes: of a SavedModel that runs here, and of a GPU as its format says."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from mlflow_tfconv.runtimes.runtime import open_runtime
from mlflow_tfconv.steps.benchmark.worker.job import Job
from mlflow_tfconv.steps.benchmark.worker.opened_model import OpenedModel
from mlflow_tfconv.steps.benchmark.worker.operator_times import operator_times
from mlflow_tfconv.steps.benchmark.worker.profiling import profile
from mlflow_tfconv.steps.benchmark.worker.tensorflow_recording import (
    RUN,
    recording_of,
    tensorflow_recording,
)

_BEGIN_NS = 1_800_000_000_000_000_000


class _Doubling(tf.Module):  # type: ignore[misc]
    """Three products, one of them in a loop."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = tf.Variable(tf.eye(256))

    @tf.function(input_signature=[tf.TensorSpec([None, 256], tf.float32, name="x")])
    def __call__(self, x: Any) -> dict[str, Any]:
        for _ in tf.range(3):
            x = tf.matmul(x, self.weights)
        return {"y": tf.nn.relu(x)}


class _Plane:
    """Adds events to a plane."""

    def __init__(self, space: Any, name: str) -> None:
        self.plane = space.planes.add(name=name)
        self._known: dict[str, int] = {}

    def line(self, name: str) -> Any:
        return self.plane.lines.add(name=name, timestamp_ns=_BEGIN_NS)

    def event(self, line: Any, name: str, start: float, duration: float, **stats: str) -> None:
        number = self._known.setdefault(name, len(self._known) + 1)
        shown = name.rpartition(":")[2] if name.count(":") == 1 else ""
        found = self.plane.event_metadata[number]
        found.id, found.name, found.display_name = number, name, shown
        picoseconds = {"offset_ps": int(start * 1e6), "duration_ps": int(duration * 1e6)}
        event = line.events.add(metadata_id=number, **picoseconds)
        for key, value in stats.items():
            at = self._known.setdefault(key, len(self._known) + 1)
            self.plane.stat_metadata[at].name = key
            event.stats.add(metadata_id=at, str_value=value)


def _host(space: Any) -> _Plane:
    host = _Plane(space, "/host:CPU")
    python = host.line("python")
    host.event(python, RUN, 0, 100)
    host.event(python, RUN, 200, 100)
    return host


def test_a_saved_model_is_profiled_with_its_operations(tmp_path: Path) -> None:
    module = _Doubling()
    tf.saved_model.save(module, str(tmp_path / "m"), signatures=module.__call__)
    folder = tmp_path / "work"
    folder.mkdir()
    opened = OpenedModel.of(
        Job(model=str(tmp_path / "m"), format="saved_model", folder=str(folder))
    )
    opened.runtime, opened.batch_sizes = open_runtime(tmp_path / "m"), [8]
    found = profile(opened, seconds=0.05)
    operators = {row["operator"] for row in found["operators"]}
    assert any("MatMul" in name for name in operators)
    assert found["runs"] >= 3
    assert found["outside_ms"] > 0
    assert {file.name for file in folder.iterdir()} == set(found["files"].values())


def test_operations_are_told_from_what_else_a_thread_does() -> None:
    space = xplane_pb2.XSpace()
    host = _host(space)
    compute = host.line("tf_Compute/17")
    host.event(compute, "ExecutorState::Process", 5, 90)
    host.event(compute, "m/conv:Conv2D", 10, 40)
    host.event(compute, "m/conv:Conv2D", 210, 60)
    host.event(compute, "m/late:Relu", 150, 10)
    recording = recording_of(space)
    assert [[c.node for c in run.calls] for run in recording.runs] == [["m/conv"], ["m/conv"]]
    assert operator_times(recording.runs).nodes[0].own_us.tolist() == [40, 60]
    assert recording.thread_names == {0: "run", 1: "tf_Compute"}


def test_a_kernel_of_a_gpu_stands_for_its_launch() -> None:
    space = xplane_pb2.XSpace()
    host = _host(space)
    compute = host.line("tf_Compute")
    host.event(compute, "m/conv:Conv2D", 10, 2)
    host.event(compute, "m/shape:Shape", 13, 1)
    gpu = _Plane(space, "/device:GPU:0")
    stream = gpu.line("Stream #16(Compute)")
    gpu.event(stream, "volta_sgemm", 12, 50, tf_op="m/conv:Conv2D")
    gpu.event(stream, "memset", 70, 5)
    calls = [
        (c.node, c.operator, c.place, c.duration_us) for c in recording_of(space).runs[0].calls
    ]
    assert calls == [
        ("m/conv", "Conv2D", "/device:GPU:0", 50),
        ("m/shape", "Shape", "/device:CPU:0", 1),
    ]
    assert "GPU:0 Stream #16(Compute)" in recording_of(space).thread_names.values()


def test_what_the_profiler_complains_of_is_a_note() -> None:
    space = xplane_pb2.XSpace(warnings=["CUPTI could not be loaded"])
    assert recording_of(space).notes == ("CUPTI could not be loaded",)


def test_a_folder_without_a_recording_and_a_damaged_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="left no recording"):
        tensorflow_recording(tmp_path)
    (tmp_path / "vm.xplane.pb").write_bytes(b"\xff" * 40)
    with pytest.raises(ValueError, match="can't be read"):
        tensorflow_recording(tmp_path)


def test_the_profiler_is_off_again_afterwards() -> None:
    assert sys.modules["tensorflow.python.profiler.profiler_v2"]._profiler is None
