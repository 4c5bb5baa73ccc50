"""The lean way to ONNX against plain tf2onnx, on small models of every kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from keras import layers

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.exporters import onnx_from_traced as onnx_module
from mlflow_tfconv.exporters.frozen_graph import NotLeanError
from mlflow_tfconv.exporters.onnx_from_traced import onnx_from_traced
from mlflow_tfconv.exporters.stable_names import stable_names
from mlflow_tfconv.exporters.tf2onnx_log import errors_noted
from mlflow_tfconv.exporters.tf2onnx_model import Converted, lean_model, plain_model
from mlflow_tfconv.exporters.trace_function import trace_function
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.exporters.weights import StoredWeights
from mlflow_tfconv.exporters.write_onnx import weights_taken, write_onnx
from mlflow_tfconv.runtimes.runtime import open_runtime

Values = dict[str, np.ndarray[Any, Any]]

#: Small enough for the weights of these models.
LARGE_BYTES = 256


def numbers(*shape: int, seed: int = 0, dtype: Any = "float32") -> Any:
    return np.random.default_rng(seed).normal(0, 0.3, shape).astype(dtype)


def sequential(*parts: Any, dtype: str | None = None) -> keras.Model:
    model = keras.Sequential(parts)
    for n, weight in enumerate(model.weights):
        values = numbers(*weight.shape, seed=n)
        weight.assign(np.abs(values) + 0.5 if "variance" in weight.path else values)
    return model


def attention() -> keras.Model:
    x = keras.Input((6, 16))
    y = layers.LayerNormalization()(x + layers.MultiHeadAttention(4, 8)(x, x))
    y = layers.Dense(16, activation="gelu")(y)
    return keras.Model(x, layers.EinsumDense("abc,cde->abde", output_shape=(6, 4, 8))(y))


def shared() -> keras.Model:
    x, twice = keras.Input((16,)), layers.Dense(16)
    return keras.Model(x, twice(twice(x)))


def convolutions() -> keras.Model:
    return sequential(
        layers.Input((12, 12, 4)),
        layers.SeparableConv2D(16, 3, use_bias=False),
        layers.BatchNormalization(),
        layers.Conv2D(8, 3, dilation_rate=2, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Conv2DTranspose(8, 3, strides=2),
        layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False),
        layers.BatchNormalization(),
    )


def other_ranks() -> keras.Model:
    return sequential(
        layers.Input((6, 6, 6, 4)),
        layers.Conv3D(8, 3, use_bias=False),
        layers.BatchNormalization(),
        layers.Reshape((-1, 8)),
        layers.Conv1D(8, 3, use_bias=False),
        layers.BatchNormalization(),
    )


KERAS: dict[str, Callable[[], keras.Model]] = {
    "dense": lambda: sequential(layers.Input((16,)), layers.Dense(32), layers.BatchNormalization()),
    "convolutions": convolutions,
    "other_ranks": other_ranks,
    "lstm": lambda: sequential(layers.Input((None, 8)), layers.LSTM(16)),
    "bidirectional_lstm": lambda: sequential(
        layers.Input((5, 8)), layers.Bidirectional(layers.LSTM(8))
    ),
    "gru": lambda: sequential(layers.Input((5, 8)), layers.GRU(16)),
    "attention": attention,
    "shared": shared,
}


class Functions(tf.Module):
    """Functions of x, (batch, 16) float32, that use weights in other ways than Keras does."""

    def __init__(self) -> None:
        self.w = tf.Variable(numbers(16, 16))
        self.b = tf.Variable(numbers(16))
        self.half = tf.Variable(numbers(16, 16, dtype="float16"))
        self.double = tf.Variable(numbers(16, 16, dtype="float64"))
        self.brain = tf.Variable(tf.cast(numbers(16, 16), tf.bfloat16))

    def loop(self, x: Any) -> Any:
        table = tf.constant(numbers(16, 16, seed=3))

        def body(step: Any, y: Any) -> Any:
            return step + 1, tf.tanh(y @ self.w + tf.gather(self.w, [1]) + y @ table)

        return tf.while_loop(lambda step, _: step < 3, body, [0, x])[1]

    def condition(self, x: Any) -> Any:
        return tf.cond(
            tf.reduce_sum(x) > 1e9, lambda: x @ self.w, lambda: x @ tf.transpose(self.w) + self.b
        )

    def of_weights_alone(self, x: Any) -> Any:
        left, right = tf.split(self.w, 2, axis=1)
        normal = self.w / tf.norm(self.w, axis=0, keepdims=True)
        swapped = tf.concat([x @ right, x @ left], 1)
        return x @ normal + swapped + tf.linalg.matmul(x, self.w, transpose_b=True)

    def constants(self, x: Any) -> Any:
        return x @ numbers(16, 16, seed=5) + tf.nn.embedding_lookup(self.w, [2])

    def einsum(self, x: Any) -> Any:
        return tf.einsum("...i,ij->...j", x, self.w) + tf.einsum("aA,AB->aB", x, self.w)

    def halves_and_doubles(self, x: Any) -> Any:
        y = tf.cast(tf.cast(x, tf.float64) @ self.double, tf.float32)
        return y + x @ tf.cast(self.half, tf.float32)


FUNCTIONS = (
    "loop",
    "condition",
    "of_weights_alone",
    "constants",
    "halves_and_doubles",
)


def of_function(call: Callable[[Any], Any], owner: tf.Module) -> Traced:
    inputs = (TensorSpec(name="x", dtype="float32", shape=(None, 16)),)
    function = trace_function(lambda tensors: {"y": call(tensors["x"])}, inputs)
    output = function.structured_outputs["y"]
    outputs = (TensorSpec(name="y", dtype=output.dtype.name, shape=tuple(output.shape)),)
    return traced(function, inputs, outputs, owner)


def of_keras(model: keras.Model) -> Traced:
    inputs = (TensorSpec(name="x", dtype="float32", shape=tuple(model.inputs[0].shape)),)
    outputs = (TensorSpec(name="y", dtype="float32", shape=tuple(model.outputs[0].shape)),)
    function = trace_function(lambda t: {"y": model(t["x"], training=False)}, inputs)
    return traced(function, inputs, outputs, model)


def traced(function: Any, inputs: Any, outputs: Any, module: Any, **options: Any) -> Traced:
    def nothing() -> Any:
        raise AssertionError("the source is not asked")

    return Traced(
        function=function,
        module=module,
        inputs=inputs,
        outputs=outputs,
        open_reference=nothing,
        parameters=0,
        **options,
    )


def model_of(name: str) -> Traced:
    keras.utils.set_random_seed(0)
    if name in KERAS:
        return of_keras(KERAS[name]())
    functions = Functions()
    return of_function(getattr(functions, name), functions)


def batch_of(source: Traced) -> Values:
    (spec,) = source.inputs
    return {"x": numbers(*(3 if size is None else size for size in spec.shape))}


def written(converted: Converted, path: Path) -> onnx.ModelProto:
    model = stable_names(converted.model)
    write_onnx(model, weights_taken(model.graph, converted.tensors), path)
    onnx.checker.check_model(str(path), full_check=True)
    return onnx.load(path)


def outputs_of(path: Path, batch: Values) -> Any:
    with open_runtime(path) as runtime:
        return runtime.predict(batch)["y"]


def nodes(graph: onnx.GraphProto) -> int:
    bodies = (a.g for node in graph.node for a in node.attribute if a.HasField("g"))
    return len(graph.node) + sum(nodes(body) for body in bodies)


def largest_value(graph: onnx.GraphProto) -> int:
    """Bytes of the largest matrix that is in the graph itself."""
    sizes = [len(tensor.raw_data) for tensor in graph.initializer if len(tensor.dims) >= 2]
    bodies = (a.g for node in graph.node for a in node.attribute if a.HasField("g"))
    return max([*sizes, *(largest_value(body) for body in bodies)], default=0)


@pytest.mark.parametrize("name", [*KERAS, *FUNCTIONS])
def test_the_lean_way_gives_what_plain_tf2onnx_gives(name: str, tmp_path: Path) -> None:
    source = model_of(name)
    batch = batch_of(source)
    with errors_noted() as errors:
        lean = lean_model(source, opset=17, large_bytes=LARGE_BYTES)
        plain = plain_model(source, opset=17)
    assert errors == []
    assert largest_value(lean.model.graph) < LARGE_BYTES <= largest_value(plain.model.graph)
    lean_file, plain_file = tmp_path / "lean.onnx", tmp_path / "plain.onnx"
    fewer, more = written(lean, lean_file), written(plain, plain_file)
    assert nodes(fewer.graph) <= nodes(more.graph)
    result = outputs_of(lean_file, batch)
    np.testing.assert_array_equal(result, outputs_of(plain_file, batch))
    expected = source.function({"x": tf.constant(batch["x"])})["y"]
    np.testing.assert_allclose(result, expected, atol=1e-5)


@pytest.mark.parametrize("name", ["loop", "condition", "gru", "attention", "convolutions"])
def test_the_same_model_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    source = model_of(name)
    for file in ("one.onnx", "two.onnx"):
        written(lean_model(source, opset=17, large_bytes=LARGE_BYTES), tmp_path / file)
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes()


@pytest.mark.parametrize("opset", [13, 18])
def test_the_oldest_and_the_newest_opset_are_written(opset: int, tmp_path: Path) -> None:
    source = model_of("attention")
    path = tmp_path / "model.onnx"
    written(lean_model(source, opset=opset, large_bytes=LARGE_BYTES), path)
    batch = batch_of(source)
    expected = source.function({"x": tf.constant(batch["x"])})["y"]
    np.testing.assert_allclose(outputs_of(path, batch), expected, atol=1e-5)


def test_convolutions_in_groups_are_exported(tmp_path: Path) -> None:
    source = of_keras(
        sequential(layers.Input((8, 8, 8)), layers.Conv2D(16, 3, groups=4), layers.ReLU())
    )
    assert onnx_from_traced(source, tmp_path / "model.onnx", opset=17) == ()
    batch = batch_of(source)
    expected = source.function({"x": tf.constant(batch["x"])})["y"]
    np.testing.assert_allclose(outputs_of(tmp_path / "model.onnx", batch), expected, atol=1e-5)


def test_bfloat16_is_computed_in_float32_and_that_is_said(tmp_path: Path) -> None:
    functions = Functions()

    def call(x: Any) -> Any:
        def body(step: Any, y: Any) -> Any:
            return step + 1, y @ functions.brain

        y = tf.while_loop(lambda step, _: step < 2, body, [0, tf.cast(x, tf.bfloat16)])[1]
        return tf.cast(y, tf.float32) + x @ tf.cast(functions.brain, tf.float32)

    source = of_function(call, functions)
    (warning,) = onnx_from_traced(source, tmp_path / "model.onnx", opset=17)
    assert "bfloat16" in warning
    x, w = batch_of(source)["x"], np.asarray(functions.brain.read_value()).astype("float32")
    np.testing.assert_allclose(
        outputs_of(tmp_path / "model.onnx", {"x": x}), x @ w @ w + x @ w, 1e-3
    )


def test_an_ellipsis_and_capitals_in_an_einsum_are_exported(tmp_path: Path) -> None:
    functions = Functions()
    source = of_function(functions.einsum, functions)
    assert onnx_from_traced(source, tmp_path / "model.onnx", opset=17) == ()
    x = batch_of(source)["x"]
    result = outputs_of(tmp_path / "model.onnx", {"x": x})
    np.testing.assert_allclose(result, 2 * x @ functions.w.numpy(), atol=1e-5)


@pytest.fixture
def stored() -> tuple[Traced, list[str]]:
    """A model whose variables have no values, and the names of those that were read so far."""
    values = {
        "kernel": numbers(3, 3, 4, 8),
        "scale": numbers(8, seed=1),
        "w": numbers(8, 8, seed=2),
    }
    variables = {name: _without_value(name, array) for name, array in values.items()}
    read: list[str] = []

    def reader(name: str) -> Callable[[], Any]:
        return lambda: (read.append(name), values[name])[1]

    def call(tensors: Any) -> Any:
        y = tf.nn.conv2d(tensors["x"], variables["kernel"], 1, "VALID") * variables["scale"]
        return {"y": tf.reduce_mean(y, [1, 2]) @ variables["w"]}

    inputs = (TensorSpec(name="x", dtype="float32", shape=(None, 5, 5, 4)),)
    outputs = (TensorSpec(name="y", dtype="float32", shape=(None, 8)),)
    readers = {id(variables[name].handle): reader(name) for name in values}
    function = trace_function(call, inputs)
    return traced(function, inputs, outputs, variables, weights=StoredWeights(readers)), read


def _without_value(name: str, array: Any) -> Any:
    from tensorflow.python.ops.resource_variable_ops import UninitializedVariable

    return UninitializedVariable(shape=array.shape, dtype=tf.float32, name=name)


def test_stored_weights_are_read_once_and_last(
    stored: tuple[Traced, list[str]], tmp_path: Path
) -> None:
    source, read = stored
    converted = lean_model(source, opset=17, large_bytes=LARGE_BYTES)
    assert read == ["scale"]  # a vector, which is better a constant
    model = written(converted, tmp_path / "model.onnx")
    assert sorted(read) == ["kernel", "scale", "w"]
    assert [node.op_type for node in model.graph.node].count("Mul") == 0


def test_plain_tf2onnx_gets_the_values_of_stored_weights(
    stored: tuple[Traced, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, _ = stored
    onnx_from_traced(source, tmp_path / "lean.onnx", opset=17)
    monkeypatch.setattr(onnx_module, "lean_model", _not_lean)
    assert onnx_from_traced(source, tmp_path / "plain.onnx", opset=17) != ()
    batch = {"x": numbers(2, 5, 5, 4)}
    lean, plain = (outputs_of(tmp_path / f"{way}.onnx", batch) for way in ("lean", "plain"))
    np.testing.assert_allclose(plain, lean, atol=1e-6)


def _not_lean(*_: Any, **__: Any) -> Any:
    raise NotLeanError("it has something in it")
