"""TensorFlow's own graphs for each device tell where its nodes are."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from mlflow_tfconv.device import Device
from mlflow_tfconv.runtimes.runtime import Runtime, open_runtime
from mlflow_tfconv.steps.benchmark.worker.placement import bare_name
from mlflow_tfconv.steps.benchmark.worker.tensorflow_devices import tensorflow_assignment

BATCH = {"x": np.ones((3, 4), np.float32)}


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 4), tf.float32, name="x")])
        def __call__(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"y": tf.nn.softmax(tf.matmul(x, tf.ones((4, 2))), name="last")}

    path, module = tmp_path_factory.mktemp("models") / "saved_model", Module()
    tf.saved_model.save(module, str(path), signatures=module.__call__)
    return open_runtime(path)


def test_every_node_has_its_device(runtime: Runtime) -> None:
    told = tensorflow_assignment(runtime, BATCH, Device())
    assert dict(told.counts) == {"/device:CPU:0": sum(told.counts.values())}
    assert any("last" in bare_name(name) for name in told.places)
    assert told.copies == 0


def test_a_bound_call_of_tensorflow_runs_to_its_end(runtime: Runtime) -> None:
    call = runtime.bound_call_for(BATCH)
    assert call is not None
    call()
