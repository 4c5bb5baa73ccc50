"""A tiny convolutional network, trained on made-up images, and its dataset in shards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from mlflow_tfconv.artifacts import ConvertedModel, Dataset
from mlflow_tfconv.data.examples import serialized_example
from mlflow_tfconv.data.inference import SchemaInference
from mlflow_tfconv.data.manifest import Manifest, write_manifest
from mlflow_tfconv.data.shards import ShardWriter
from mlflow_tfconv.device import Device
from mlflow_tfconv.steps.compress.export_onnx import export_onnx

EXAMPLES = 96


@pytest.fixture(scope="session")
def images() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Noise with a bright row whose place is the class: (96, 8, 8, 1) float32 and (96,) int64."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, EXAMPLES)
    pixels = generator.random((EXAMPLES, 8, 8, 1), dtype=np.float32) * 0.3
    pixels[np.arange(EXAMPLES), labels * 2] += 1
    return pixels, labels


@pytest.fixture(scope="session")
def dataset(
    images: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Dataset:
    """The images as the train split, in several shards."""
    home = tmp_path_factory.mktemp("dataset")
    inference = SchemaInference(("label",))
    with ShardWriter(home, "train", 8000) as writer:
        for number, (image, label) in enumerate(zip(*images, strict=True)):
            example = inference.check({"image": image, "label": label}, f"Example {number}")
            writer.write(serialized_example(example))
    shards = {"train": writer.shards, "validation": (), "test": ()}
    manifest = Manifest(schema=inference.schema(None), splits=shards, folder=home)
    path = write_manifest(manifest, home)
    return Dataset(manifest=path, digest=manifest.digest, counts=manifest.counts)


@pytest.fixture(scope="session")
def keras_file(
    images: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The trained network, compiled."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((8, 8, 1), name="image"),
            layers.Conv2D(16, 3, padding="same", use_bias=False, name="first"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(name="relu"),
            layers.Conv2D(32, 3, strides=2, padding="same", activation="relu", name="second"),
            layers.Flatten(name="flatten"),
            layers.Dense(32, activation="relu", name="hidden"),
            layers.Dense(3, activation="softmax", name="classes"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    model.fit(*images, epochs=4, batch_size=16, verbose=0)
    path = tmp_path_factory.mktemp("keras") / "model.keras"
    model.save(path)
    return path


@pytest.fixture(scope="session")
def onnx_file(keras_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network as ONNX."""
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    export_onnx(keras_file, path, device=Device())
    return path


@pytest.fixture(scope="session")
def converted(keras_file: Path, onnx_file: Path) -> ConvertedModel:
    """The network as `convert` hands it over."""
    from mlflow_tfconv.runtimes.runtime import open_runtime

    with open_runtime(onnx_file) as runtime:
        return ConvertedModel(
            source=keras_file,
            saved_model=None,
            onnx=onnx_file,
            inputs=runtime.inputs,
            outputs=runtime.outputs,
        )


@pytest.fixture(scope="session")
def batches(
    images: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]],
) -> list[dict[str, np.ndarray[Any, Any]]]:
    """The images as calibration data."""
    return [{"image": images[0][i : i + 32]} for i in range(0, EXAMPLES, 32)]
