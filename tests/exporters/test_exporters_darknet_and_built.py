"""Networks of darknet and models that a function builds, in both formats."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from darknet_reference import made_network

from mlflow_tfconv.device import Device
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.exporters.onnx_from_traced import onnx_from_traced
from mlflow_tfconv.exporters.saved_model_from_traced import saved_model_from_traced
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.exporters.traced_from_source import traced_from_source
from mlflow_tfconv.runtimes.runtime import open_runtime
from mlflow_tfconv.sources.options import SourceOptions

CFG = """
[convolutional]
batch_normalize=1
filters=8
size=3
stride=1
pad=1
activation=leaky
[maxpool]
size=3
stride=2
[maxpool]
size=2
stride=1
[convolutional]
filters=8
groups=8
size=3
stride=2
pad=1
activation=mish
[upsample]
stride=2
[reorg]
stride=2
[route]
layers=-1
groups=2
group_id=1
[local]
filters=4
size=3
stride=1
pad=1
activation=hardtan
[shortcut]
from=-2
activation=stair
[convolutional]
filters=14
size=1
activation=linear
[yolo]
mask=0,1
classes=2
num=2
"""


class Net(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.kernel = tf.Variable(tf.ones((4, 3)))

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)])
    def __call__(self, x: Any) -> Any:
        return {"sum": x @ self.kernel, "sharp": tf.nn.softmax(x @ self.kernel)}


class Unsigned(Net):
    def __call__(self, x: Any) -> Any:  # type: ignore[override]
        return x @ self.kernel


def in_every_runtime(traced: Traced, batch: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    saved_model_from_traced(traced, folder / "saved_model")
    onnx_from_traced(traced, folder / "model.onnx", opset=18)
    results = []
    for runtime in (
        traced.open_reference(),
        open_runtime(folder / "saved_model"),
        open_runtime(folder / "model.onnx"),
    ):
        with runtime:
            results.append(runtime.predict(batch))
    return results


def test_a_network_of_darknet_is_the_same_in_every_format(tmp_path: Path) -> None:
    made = made_network(tmp_path, CFG, shape=(3, 16, 16))
    traced = traced_from_source(made.weights, device=Device())
    assert [spec.shape for spec in traced.inputs] == [(None, 3, 16, 16)]
    for result in in_every_runtime(traced, {"input": made.x}, tmp_path):
        assert np.allclose(result["convolutional_9"], made.layers[9], atol=1e-4)


def test_an_output_of_a_network_can_be_chosen_and_named(tmp_path: Path) -> None:
    made = made_network(tmp_path, CFG, shape=(3, 16, 16))
    options = SourceOptions(outputs={"boxes": "yolo_10"})
    traced = traced_from_source(made.weights, options=options, device=Device())
    with traced.open_reference() as runtime:
        assert np.allclose(runtime.predict({"input": made.x})["boxes"], made.layers[10], atol=1e-4)


def test_a_network_in_an_archive_is_read(tmp_path: Path) -> None:
    made = made_network(tmp_path, CFG, shape=(3, 16, 16))
    with zipfile.ZipFile(tmp_path / "net.zip", "w") as archive:
        archive.write(made.cfg, "net/net.cfg")
        archive.write(made.weights, "net/net.weights")
    traced = traced_from_source(tmp_path / "net.zip", device=Device())
    assert traced.source_format == "darknet_weights"
    with traced.open_reference() as runtime:
        result = runtime.predict({"input": made.x})
    assert np.allclose(result["convolutional_9"], made.layers[9], atol=1e-4)


def checkpoint(folder: Path) -> Path:
    net = Net()
    net.kernel.assign(np.arange(12.0).reshape(4, 3))
    return Path(tf.train.Checkpoint(net).write(str(folder / "ckpt")))


def test_a_module_is_exported_with_its_own_signature(tmp_path: Path) -> None:
    options = SourceOptions(architecture=Net)
    traced = traced_from_source(checkpoint(tmp_path), options=options, device=Device())
    x = np.ones((2, 4), np.float32)
    for result in in_every_runtime(traced, {"x": x}, tmp_path):
        assert result["sum"].tolist() == [[18.0, 22.0, 26.0]] * 2
        assert set(result) == {"sum", "sharp"}


def test_a_module_without_a_signature_needs_shapes(tmp_path: Path) -> None:
    path = checkpoint(tmp_path)
    with pytest.raises(ConfigError, match="inputs of the model that was built can't be told"):
        traced_from_source(path, options=SourceOptions(architecture=Unsigned), device=Device())
    options = SourceOptions(architecture=Unsigned, shapes={"x": (None, 4)})
    traced = traced_from_source(path, options=options, device=Device())
    assert [(spec.name, spec.shape) for spec in traced.inputs] == [("x", (None, 4))]
    assert [choice.what for choice in traced.choices] == ["types of inputs"]


def test_an_error_of_the_users_function_is_told(tmp_path: Path) -> None:
    def build() -> Any:
        raise KeyError("width")

    options = SourceOptions(architecture=build)
    with pytest.raises(ConfigError, match="raised an error") as error:
        traced_from_source(checkpoint(tmp_path), options=options, device=Device())
    assert error.value.received == "KeyError: 'width'"
