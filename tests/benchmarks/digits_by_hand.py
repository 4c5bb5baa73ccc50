"""What `recipes/digits` does, as one script by hand: the measure for what the recipe costs.

    python tests/benchmarks/digits_by_hand.py FOLDER

It makes the same calls to the same libraries, in one process that imports each of them once; each
model is measured in a fresh process, as the recipe does it. It is not resumable, keeps nothing for
the next run, checks no input, draws no cards and works for this one model. FOLDER gets the data, the
models, MLflow's store and `phases.json`: how long each part took.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import keras
import mlflow
import mlflow.onnx
import mlflow.tensorflow
import numpy as np
import onnx
import onnxruntime
import tensorflow as tf
import tf2onnx
from mlflow.models import ModelSignature
from mlflow.types.schema import Schema, TensorSpec
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16
from sklearn.datasets import load_digits
from tensorflow_model_optimization.python.core.sparsity.keras.pruning_impl import Pruning
from tensorflow_model_optimization.python.core.sparsity.keras.pruning_schedule import (
    PolynomialDecay,
)

EPOCHS, BATCH_SIZE, DROPOUT, LEARNING_RATE = 15, 64, 0.2, 0.002
SPARSITY, PRUNE_EPOCHS = 0.5, 4
CALIBRATION_EXAMPLES = 512
SPLIT_RATIOS = {"train": 0.8, "validation": 0.1, "test": 0.1}
IMAGE = (8, 8, 1)
Array = np.ndarray[Any, Any]
phases: dict[str, float] = {}


@contextmanager
def phase(name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    phases[name] = time.perf_counter() - started
    print(f"{name}: {phases[name]:.1f} s", flush=True)


# Data


@dataclass(frozen=True)
class Split:
    path: Path
    count: int


def write_tfrecords(folder: Path) -> dict[str, Split]:
    """One TFRecord file a split."""
    digits = load_digits()
    images = np.float32(digits.images / 16)[..., np.newaxis]
    names = np.random.default_rng(0).choice(
        list(SPLIT_RATIOS), size=len(images), p=list(SPLIT_RATIOS.values())
    )
    splits = {}
    for name in SPLIT_RATIOS:
        chosen = names == name
        splits[name] = Split(folder / f"{name}.tfrecord", int(chosen.sum()))
        with tf.io.TFRecordWriter(str(splits[name].path)) as writer:
            for image, digit in zip(images[chosen], digits.target[chosen], strict=True):
                writer.write(serialized(image, digit))
    return splits


def serialized(image: Array, digit: int) -> bytes:
    feature = {
        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image.tobytes()])),
        "digit": tf.train.Feature(int64_list=tf.train.Int64List(value=[digit])),
    }
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def read_tfrecords(split: Split, *, shuffle: bool = False) -> tf.data.Dataset:
    """Batches of (images, digits)."""
    records = tf.data.TFRecordDataset(str(split.path))
    if shuffle:
        records = records.shuffle(split.count, seed=0)
    batches = records.batch(BATCH_SIZE).map(parsed, tf.data.AUTOTUNE)
    steps = tf.data.experimental.assert_cardinality(-(-split.count // BATCH_SIZE))
    return batches.apply(steps).prefetch(tf.data.AUTOTUNE)


def parsed(records: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    features = {
        "image": tf.io.FixedLenFeature((), tf.string),
        "digit": tf.io.FixedLenFeature((), tf.int64),
    }
    batch = tf.io.parse_example(records, features)
    return tf.reshape(tf.io.decode_raw(batch["image"], tf.float32), (-1, *IMAGE)), batch["digit"]


def all_of(batches: tf.data.Dataset) -> tuple[Array, Array]:
    images, digits = zip(*batches.as_numpy_iterator(), strict=True)
    return np.concatenate(images), np.concatenate(digits)


# Training


def built_model() -> keras.Model:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input(IMAGE, name="image"),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(DROPOUT),
            layers.Dense(10, activation="softmax", name="digit"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(LEARNING_RATE),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def train(splits: Mapping[str, Split], folder: Path) -> keras.Model:
    """Trains, logs each epoch to MLflow, and gives the model of the best epoch."""
    keras.utils.set_random_seed(0)
    model = built_model()
    mlflow.log_params({"epochs": EPOCHS, "batch_size": BATCH_SIZE, "dropout": DROPOUT})
    log_epoch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: mlflow.log_metrics(logs, step=epoch + 1)
    )
    best = folder / "model.keras"
    model.fit(
        read_tfrecords(splits["train"], shuffle=True),
        validation_data=read_tfrecords(splits["validation"]),
        epochs=EPOCHS,
        shuffle=False,  # the stream is
        verbose=2,
        callbacks=[
            keras.callbacks.EarlyStopping(patience=5),
            keras.callbacks.ModelCheckpoint(best, save_best_only=True),
            keras.callbacks.TensorBoard(folder / "tensorboard"),
            log_epoch,
        ],
    )
    model = keras.saving.load_model(best)
    test = model.evaluate(read_tfrecords(splits["test"]), return_dict=True, verbose=0)
    mlflow.log_metrics({f"test_{name}": value for name, value in test.items()})
    mlflow.log_artifacts(str(folder / "tensorboard"), "tensorboard")
    return model


# Conversion


class Served(tf.Module):
    """A Keras model for inference."""

    def __init__(self, model: keras.Model) -> None:
        super().__init__()
        self.model = model

    @tf.function(input_signature=[tf.TensorSpec((None, *IMAGE), tf.float32, name="image")])
    def __call__(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"digit": self.model(image, training=False)}


def export_onnx(served: Served, path: Path) -> None:
    function = served.__call__
    tf2onnx.convert.from_function(
        function, input_signature=function.input_signature, opset=17, output_path=str(path)
    )


def convert(model: keras.Model, folder: Path, images: Array) -> None:
    """SavedModel and ONNX, compared with the Keras model."""
    served = Served(model)
    saved_model, onnx_file = folder / "saved_model", folder / "model.onnx"
    tf.saved_model.save(served, str(saved_model), signatures=served.__call__)
    export_onnx(served, onnx_file)
    expected = model(images, training=False).numpy()
    loaded = tf.saved_model.load(str(saved_model))
    require_parity(loaded.signatures["serving_default"](image=images)["digit"].numpy(), expected)
    require_parity(predict_onnx(onnx_file, images), expected)


def predict_onnx(path: Path, images: Array) -> Array:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: images})[0]


def require_parity(given: Array, expected: Array) -> None:
    np.testing.assert_allclose(given, expected, atol=1e-4, rtol=1e-3)


# Compression


class Calibration(CalibrationDataReader):
    def __init__(self, images: Array) -> None:
        chosen = np.random.default_rng(0).permutation(len(images))[:CALIBRATION_EXAMPLES]
        self._batches = iter(np.split(images[chosen], CALIBRATION_EXAMPLES // 32))

    def get_next(self) -> dict[str, Array] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"image": batch}


def quantize_float16(source: Path, output: Path) -> None:
    onnx.save(convert_float_to_float16(onnx.load(source), keep_io_types=True), output)


def quantize_int8(source: Path, output: Path, images: Array) -> None:
    simplified = output.with_suffix(".simplified.onnx")
    quant_pre_process(source, simplified, skip_symbolic_shape=True)
    nodes = onnx.load(simplified).graph.node
    quantize_static(
        simplified,
        output,
        Calibration(images),
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=[node.name for node in nodes if node.op_type == "Softmax"],
    )


class PruneMagnitude(keras.callbacks.Callback):
    """tfmot's schedule and masks, on a Keras 3 model."""

    def __init__(self, kernels: list[tf.Variable], steps: int) -> None:
        super().__init__()
        self._step = tf.Variable(-1, dtype=tf.int64, trainable=False)
        end = int(steps * 0.75)
        schedule = PolynomialDecay(0.0, SPARSITY, 0, end, frequency=max(end // 20, 1))
        triples = [(k, tf.Variable(tf.ones_like(k)), tf.Variable(0.0)) for k in kernels]
        self._pruning = Pruning(lambda: self._step, triples, schedule, (1, 1), "AVG")
        self._update = tf.function(self._next_step, autograph=False)

    def _next_step(self) -> None:
        self._step.assign_add(1)
        self._pruning.conditional_mask_update()
        self._pruning.weight_mask_op()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._update()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._pruning.weight_mask_op()


def prune(folder: Path, output: Path, split: Split, images: Array) -> None:
    """Fine-tunes the model with half of each kernel at zero, and exports it."""
    model = keras.saving.load_model(folder / "model.keras", compile=False)
    model.compile(
        optimizer=keras.optimizers.Adam(LEARNING_RATE),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    batches = read_tfrecords(split, shuffle=True)
    kernels = [layer.kernel.value for layer in model.layers if hasattr(layer, "kernel")]
    steps = PRUNE_EPOCHS * int(batches.cardinality())
    masks = PruneMagnitude(kernels, steps)
    model.fit(batches, epochs=PRUNE_EPOCHS, verbose=0, shuffle=False, callbacks=[masks])
    model.save(output.with_suffix(".keras"))
    export_onnx(Served(model), output)
    require_parity(predict_onnx(output, images), model(images, training=False).numpy())


def compress(folder: Path, split: Split, test_images: Array) -> None:
    train_images, _ = all_of(read_tfrecords(split))
    base, pruned = folder / "model.onnx", folder / "pruned50.onnx"
    quantize_float16(base, folder / "fp16.onnx")
    quantize_int8(base, folder / "int8.onnx", train_images)
    prune(folder, pruned, split, test_images)
    quantize_int8(pruned, folder / "pruned50-int8.onnx", train_images)


def footprint(path: Path) -> dict[str, float]:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    metrics = {
        "footprint/size_mb": sum(file.stat().st_size for file in files) / 1e6,
        "footprint/compressed_mb": sum(len(gzip.compress(f.read_bytes(), 6)) for f in files) / 1e6,
    }
    if path.suffix == ".onnx":
        weights = [numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer]
        kernels = [weight for weight in weights if weight.ndim >= 2]
        zeros = sum(int((kernel == 0).sum()) for kernel in kernels)
        metrics["footprint/weights_mb"] = sum(weight.nbytes for weight in weights) / 1e6
        metrics["sparsity"] = zeros / sum(kernel.size for kernel in kernels)
    return metrics


# MLflow


def variants_of(folder: Path) -> dict[str, Path]:
    made = ("fp16", "int8", "pruned50", "pruned50-int8")
    return {
        "base/keras": folder / "model.keras",
        "base/saved_model": folder / "saved_model",
        "base/onnx": folder / "model.onnx",
        **{f"{name}/onnx": folder / f"{name}.onnx" for name in made},
    }


def requirements(*names: str) -> list[str]:
    """Said by hand: to let MLflow infer them takes seconds a model."""
    return [f"{name}=={metadata.version(name)}" for name in ("mlflow", "numpy", *names)]


def onnxruntime_distribution() -> str:
    installed = {distribution.name for distribution in metadata.distributions()}
    return next(name for name in ("onnxruntime-gpu", "onnxruntime") if name in installed)


def signature(*names: str | None) -> ModelSignature:
    """MLflow gives a dict to what names its input, which its wrapper of a tf.Module refuses."""
    shapes = ((-1, *IMAGE), (-1, 10))
    specs = [TensorSpec(np.dtype("float32"), *part) for part in zip(shapes, names, strict=True)]
    return ModelSignature(inputs=Schema(specs[:1]), outputs=Schema(specs[1:]))


def logged_model(path: Path, keras_model: keras.Model) -> Any:
    """Logs a model to the active run."""
    if path.suffix == ".onnx":
        return mlflow.onnx.log_model(
            onnx.load(path),
            name="model",
            signature=signature("image", "digit"),
            onnx_execution_providers=["CPUExecutionProvider"],
            pip_requirements=requirements("onnx", onnxruntime_distribution()),
        )
    return mlflow.tensorflow.log_model(
        keras_model if path.suffix == ".keras" else Served(keras_model),
        name="model",
        signature=signature(None, None),
        pip_requirements=requirements("tensorflow", "keras"),
    )


def log_models(variants: Mapping[str, Path], model: keras.Model, images: Array) -> dict[str, Any]:
    """One child run a variant, with its model, which is loaded back once and compared."""
    infos = {}
    for name, path in variants.items():
        with mlflow.start_run(run_name=name, nested=True):
            mlflow.set_tag("tfconv.kind", "variant")
            mlflow.log_metrics(footprint(path))
            infos[name] = logged_model(path, model)
        given = mlflow.pyfunc.load_model(infos[name].model_uri).predict(images)
        given = given["digit"] if isinstance(given, dict) else given
        onnx_file = path.suffix == ".onnx"
        expected = predict_onnx(path, images) if onnx_file else model(images, training=False)
        require_parity(np.asarray(given), np.asarray(expected))
    return infos


# Measuring


def measure(
    variants: Mapping[str, Path], folder: Path, images: Array, digits: Array
) -> dict[str, dict[str, float]]:
    """Each variant in a fresh process, one after the other; the first is the reference."""
    np.save(folder / "test.npy", images)
    metrics: dict[str, dict[str, float]] = {}
    reference: Array | None = None
    for name, path in variants.items():
        output = folder / f"{name.replace('/', '_')}.outputs.npy"
        worker = Path(__file__).with_name("measure_by_hand.py")
        command = [sys.executable, worker, path, folder / "test.npy", output]
        subprocess.run([str(part) for part in command], check=True)
        metrics[name] = json.loads(output.with_suffix(".json").read_text())
        answers = np.load(output).argmax(1)
        reference = answers if reference is None else reference
        metrics[name]["quality/accuracy"] = float((answers == digits).mean())
        drop = (reference == digits).mean() - (answers == digits).mean()
        metrics[name]["quality/accuracy_drop"] = float(drop)
        metrics[name]["quality/agreement"] = float((answers == reference).mean())
    return metrics


def register(metrics: Mapping[str, Mapping[str, float]], infos: Mapping[str, Any]) -> None:
    """The fastest of those that are good enough."""
    passed = [
        name
        for name, values in metrics.items()
        if values["quality/accuracy"] >= 0.95 and values["quality/accuracy_drop"] <= 0.01
    ]
    best = min(passed, key=lambda name: metrics[name]["latency/p50_ms"])
    version = mlflow.register_model(infos[best].model_uri, "digits")
    mlflow.MlflowClient().set_registered_model_alias("digits", "champion", version.version)
    print(f"Registered {best} as digits version {version.version}")


def show(metrics: Mapping[str, Mapping[str, float]]) -> None:
    for name, values in metrics.items():
        accuracy, latency = values["quality/accuracy"], values["latency/p50_ms"]
        print(f"{name:20} accuracy {accuracy:.4f}  p50 {latency:.3f} ms")


def main(folder: Path) -> None:
    began_s = time.time()
    folder.mkdir(parents=True)
    with phase("MLflow's store"):
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        mlflow.create_experiment("digits", artifact_location=(folder / "artifacts").as_uri())
        mlflow.set_experiment("digits")
    with mlflow.start_run(run_name="digits"):
        with phase("ingest"):
            splits = write_tfrecords(folder)
            mlflow.log_metrics({f"examples/{name}": s.count for name, s in splits.items()})
        with phase("train"):
            model = train(splits, folder)
            images, digits = all_of(read_tfrecords(splits["test"]))
        with phase("convert"):
            convert(model, folder, images[:64])
        with phase("compress"):
            compress(folder, splits["train"], images[:64])
        variants = variants_of(folder)
        with phase("log models, load them back"):
            infos = log_models(variants, model, images[:4])
        with phase("benchmark"):
            metrics = measure(variants, folder, images, digits)
        with phase("log metrics, register"):
            for name, info in infos.items():
                mlflow.log_metrics(metrics[name], run_id=info.run_id)
            register(metrics, infos)
    show(metrics)
    (folder / "phases.json").write_text(json.dumps({"began_s": began_s, "phases_s": phases}))


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
