"""The pieces of which the translation is made."""

from __future__ import annotations

import json
import marshal
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from tensorflow.python.framework import op_def_registry

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.runtimes.bytecode import bytecode_of, function_from
from mlflow_tfconv.runtimes.layers_of_old.operations import (
    TensorFlowFunction,
    TensorFlowOperation,
)
from mlflow_tfconv.runtimes.layers_of_old.tensorflow_functions import known_function
from mlflow_tfconv.runtimes.layers_of_old.theano_padding import HalfPadded, TheanoPooling
from mlflow_tfconv.sources.keras.architecture import architecture
from mlflow_tfconv.sources.keras.assign_weights import assign_weights
from mlflow_tfconv.sources.keras.build_model import BuiltModel, build_model
from mlflow_tfconv.sources.keras.dialect import Origin
from mlflow_tfconv.sources.keras.keras_model_from_architecture import weights_into
from mlflow_tfconv.sources.keras.references import keywords_of, references_in, resolved
from mlflow_tfconv.sources.keras.stored_layer import StoredArray, StoredLayer
from mlflow_tfconv.sources.options import SourceOptions


def sequential(
    *layers: tuple[str, dict[str, Any]], version: str = "2.2.4", **said: Any
) -> BuiltModel:
    config = [{"class_name": name, "config": inner} for name, inner in layers]
    written = {"class_name": "Sequential", "config": config}
    return build_model(written, SourceOptions(**said), origin=Origin(version=version))


def stored(name: str, *arrays: np.ndarray[Any, Any]) -> StoredLayer:
    named = [StoredArray(f"{name}/w{n}:0", a.shape, lambda a=a: a) for n, a in enumerate(arrays)]
    return StoredLayer(name, tuple(named))


DENSE = {"name": "dense_1", "units": 2, "batch_input_shape": [None, 3], "activation": "linear"}


def test_the_input_of_a_sequential_model_is_called_like_its_first_layer() -> None:
    built = sequential(("Dense", DENSE))
    assert built.model.inputs[0]._keras_history.operation.name == "dense_1_input"
    assert [layer.name for layer in built.layers] == ["dense_1"]


def test_references_are_found_wherever_they_stand() -> None:
    node = [["a", 0, 0, {"mask": ["b", 1, 0], "axis": -1}], ["_CONSTANT_VALUE", -1, 2.0, {}]]
    assert list(references_in(node)) == [("a", 0, 0), ("b", 1, 0)]
    assert resolved(node, lambda reference: reference[0]) == ["a", 2.0]
    assert keywords_of(node) == {"mask": ["b", 1, 0], "axis": -1}


def test_json_may_be_encoded_twice() -> None:
    text = json.dumps(json.dumps({"class_name": "Sequential", "config": []}))
    assert architecture(text, Path("model.json")).config["class_name"] == "Sequential"


@pytest.mark.parametrize("name", ["io.read_file", "py_function", "raw_ops.ReadFile", "io.write_file",
                                  "numpy_function", "image.decode_jpeg", "__class__", "data.Dataset",
                                  "math.__init__", "saved_model.load"])  # fmt: skip
def test_functions_that_reach_outside_are_not_known(name: str) -> None:
    assert known_function(name) is None


def test_an_unknown_function_is_refused_by_its_name() -> None:
    config = {"name": "tf.io.read_file", "function": "io.read_file"}
    with pytest.raises(ConversionError, match=r"tf\.io\.read_file"):
        sequential(("Dense", DENSE), ("TFOpLambda", config))


def test_an_operation_between_layers_of_tensorflow_2_0_is_computed() -> None:
    node = {"name": "mul", "op": "Mul", "input": ["x", "y"], "attr": {"T": {"type": "DT_FLOAT"}}}
    config = {"name": "mul", "node_def": json.dumps(node), "constants": {"1": 3.0}}
    model = sequential(("Dense", DENSE), ("TensorFlowOpLayer", config), version="2.3.0-tf").model
    model.layers[1].set_weights([np.ones((3, 2)), np.zeros(2)])
    np.testing.assert_allclose(model(np.ones((1, 3))), [[9.0, 9.0]])


def test_an_operation_that_reads_files_is_refused() -> None:
    config = {"name": "x", "node_def": json.dumps({"name": "x", "op": "ReadFile"})}
    with pytest.raises(ConversionError, match="ReadFile"):
        sequential(("Dense", DENSE), ("TensorFlowOpLayer", config), version="2.3.0-tf")


def test_an_unknown_layer_names_its_class_and_the_argument() -> None:
    with pytest.raises(ConversionError, match=r"(?s)class Capsule.*custom_objects=\{\"Capsule\""):
        sequential(("Dense", DENSE), ("Capsule", {"name": "capsule_1"}))


def test_a_class_of_the_users_is_made_from_the_file() -> None:
    class Scale(keras.layers.Layer):
        def __init__(self, by: float = 1.0, **arguments: Any) -> None:
            super().__init__(**arguments)
            self.by = by

        def call(self, x: Any) -> Any:
            return x * self.by

    model = sequential(
        ("Dense", DENSE), ("Scale", {"name": "scale", "by": 5.0}), custom_objects={"Scale": Scale}
    ).model
    assert model.layers[-1].by == 5.0


def test_an_activation_that_was_a_lambda_is_given_by_the_layers_name() -> None:
    layer = ("Activation", {"name": "squash", "activation": "<lambda>"})
    with pytest.raises(ConversionError, match=r'lambdas=\{"squash"'):
        sequential(("Dense", DENSE), layer)
    model = sequential(("Dense", DENSE), layer, lambdas={"squash": lambda x: x * 0 + 7}).model
    np.testing.assert_array_equal(model(np.ones((1, 3))), [[7, 7]])


def test_training_mode_in_a_call_is_warned_of() -> None:
    layers = [
        {"name": "x", "class_name": "InputLayer",
         "config": {"name": "x", "batch_input_shape": [None, 3]}, "inbound_nodes": []},
        {"name": "drop", "class_name": "Dropout", "config": {"name": "drop", "rate": 0.5},
         "inbound_nodes": [[["x", 0, 0, {"training": True}]]]},
    ]  # fmt: skip
    config = {"name": "m", "layers": layers, "input_layers": [["x", 0, 0]],
              "output_layers": [["drop", 0, 0]]}  # fmt: skip
    built = build_model({"class_name": "Model", "config": config}, SourceOptions())
    assert "training=True" in built.around.warnings[0]


def test_a_model_of_keras_0_is_refused() -> None:
    with pytest.raises(ConversionError, match="Graph model of Keras 0"):
        build_model({"class_name": "Graph", "config": {"nodes": []}}, SourceOptions())


def test_cudnn_weights_fit_a_plain_layer() -> None:
    config = {"name": "lstm", "units": 2, "batch_input_shape": [None, 4, 3]}
    built = sequential(("CuDNNLSTM", config))
    random = np.random.default_rng(0)
    kernel, recurrent = random.normal(size=(3, 8)), random.normal(size=(2, 8))
    bias = random.normal(size=16)
    assign_weights(built.translated, [stored("lstm", kernel, recurrent, bias)], Path("w.h5"), [])
    found = [np.asarray(weight) for weight in built.model.weights]
    gates = [gate.reshape(2, 3).T for gate in np.split(kernel, 4, axis=1)]
    np.testing.assert_allclose(found[0], np.hstack(gates), rtol=1e-6)
    np.testing.assert_allclose(found[2], bias[:8] + bias[8:], rtol=1e-6)


def test_layers_are_found_by_order_when_their_names_have_moved() -> None:
    built = sequential(("Dense", DENSE))
    weights = [stored("dense_7", np.full((3, 2), 2.0), np.ones(2))]
    assign_weights(built.translated, weights, Path("w.h5"), [])
    np.testing.assert_array_equal(built.model(np.ones((1, 3))), [[7, 7]])


def test_weights_that_nobody_wants_are_warned_of() -> None:
    built, warnings = sequential(("Dense", DENSE)), []
    weights = [stored("dense_1", np.ones((3, 2)), np.ones(2)), stored("dense_2", np.ones(2))]
    assign_weights(built.translated, weights, Path("w.h5"), warnings)
    assert "dense_2" in warnings[0]


def test_weights_of_an_old_file_go_into_a_live_model(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.attrs["layer_names"] = [b"dense_1"]
        group = file.create_group("dense_1")
        group.attrs["weight_names"] = [b"dense_1_W:0", b"dense_1_b:0"]
        group["dense_1_W:0"], group["dense_1_b:0"] = np.ones((3, 2)), np.ones(2)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    reading = weights_into(model, tmp_path / "w.h5")
    np.testing.assert_array_equal(reading.model(np.ones((1, 3))), [[4, 4]])


def test_bytecode_of_this_python_is_run_when_it_is_trusted() -> None:
    code = marshal.dumps((lambda x: abs(x) + 1).__code__)
    text = code.decode("raw_unicode_escape")
    assert bytecode_of([text, None, None]) == code
    assert function_from(code, None, "it")(-3) == 4


def test_bytecode_with_the_caches_of_another_python_is_not_run() -> None:
    code = (lambda x: abs(x) + 1).__code__
    body, whole = code.co_code, marshal.dumps(code)
    shorter = body.replace(b"\0\0\0\0", b"\0\0", 1)
    before, _, after = whole.partition(len(body).to_bytes(4, "little") + body)
    with pytest.raises(ConversionError, match="another Python"):
        function_from(before + len(shorter).to_bytes(4, "little") + shorter + after, None, "it")


def test_theano_pads_half_a_kernel_on_both_sides() -> None:
    convolution = keras.layers.Conv2D(1, 3, strides=2, kernel_initializer="ones")
    layer = HalfPadded(convolution, padding=(1, 1), strides=(2, 2), cut=(False, False))
    image = np.arange(16.0, dtype=np.float32).reshape(1, 4, 4, 1)
    np.testing.assert_array_equal(np.asarray(layer(image))[0, :, :, 0], [[10, 24], [51, 90]])


def test_theano_pools_with_more_padding_than_tensorflow() -> None:
    row = np.arange(4.0, dtype=np.float32).reshape(1, 1, 4, 1)
    largest = TheanoPooling((1, 2), (1, 2))(row)
    mean = TheanoPooling((1, 2), (1, 2), average=True)(row)
    np.testing.assert_array_equal(np.asarray(largest).ravel(), [0, 2])
    np.testing.assert_array_equal(np.asarray(mean).ravel(), [0, 1.5])


def test_weights_of_keras_1_fit_an_architecture_of_keras_2() -> None:
    config = {"name": "lstm", "units": 2, "batch_input_shape": [None, 4, 3]}
    built = sequential(("LSTM", config))
    gates = [np.full(shape, float(n)) for n in range(4) for shape in ((3, 2), (2, 2), (2,))]
    assign_weights(built.translated, [stored("lstm", *gates)], Path("w.h5"), [])
    kernel = np.asarray(built.model.weights[0])
    np.testing.assert_array_equal(kernel[0], [0, 0, 2, 2, 1, 1, 3, 3])  # i c f o to i f c o


def test_a_large_weight_is_read_piece_by_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = np.arange(10.0, dtype=np.float32).reshape(5, 2)
    kernel[4, 1] = np.nan
    read: list[slice] = []

    def rows(some: slice) -> np.ndarray[Any, Any]:
        read.append(some)
        return kernel[some]

    arrays = (
        StoredArray("dense_1/kernel:0", (5, 2), lambda: kernel, rows),
        StoredArray("dense_1/bias:0", (2,), lambda: np.zeros(2, np.float32)),
    )
    monkeypatch.setattr("mlflow_tfconv.sources.keras.assign_weights._PIECE", 4)
    built, warnings = sequential(("Dense", {**DENSE, "batch_input_shape": [None, 5]})), []
    assign_weights(built.translated, [StoredLayer("dense_1", arrays)], Path("w.h5"), warnings)
    np.testing.assert_array_equal(built.model.weights[0], kernel)
    assert [some.start for some in read] == [0, 2, 4]
    assert len(warnings) == 1


def test_a_layer_of_ours_in_a_foreign_file_reads_no_files_either() -> None:
    with pytest.raises(ValueError, match="ReadFile"):
        TensorFlowOperation('{"name": "x", "op": "ReadFile"}', {})
    with pytest.raises(ValueError, match="read_file"):
        TensorFlowFunction("io.read_file")


@pytest.mark.parametrize(
    ("node", "constants", "expected"),
    [
        ({"op": "Mean", "attr": {"keep_dims": {"b": False}}}, {"1": [1]}, [[2.0], [5.0]]),
        ({"op": "Split", "attr": {"num_split": {"i": "3"}}}, {"0": 1}, [[[1.0]], [[4.0]]]),
        ({"op": "ExpandDims"}, {"1": 0}, [[[[1.0], [2.0], [3.0]], [[4.0], [5.0], [6.0]]]]),
        (
            {"op": "Squeeze", "attr": {"squeeze_dims": {"list": {"i": ["-1"]}}}},
            {},
            [[1, 2, 3], [4, 5, 6]],
        ),
    ],
    ids=lambda value: value["op"] if isinstance(value, dict) and "op" in value else "",
)
def test_an_operation_is_called_by_the_names_of_its_definition(
    node: dict[str, Any], constants: dict[str, Any], expected: Any
) -> None:
    types = {"T": {"type": "DT_FLOAT"}, "Tidx": {"type": "DT_INT32"}, "Tdim": {"type": "DT_INT32"}}
    known = op_def_registry.get(node["op"]).attr
    used = {one.name: types[one.name] for one in known if one.name in types}
    text = json.dumps({"name": "x", **node, "attr": {**node.get("attr", {}), **used}})
    given = np.arange(1.0, 7.0, dtype=np.float32).reshape(2, 3, 1)
    answer = TensorFlowOperation(text, constants)(given)
    np.testing.assert_array_equal(answer[0] if node["op"] == "Split" else answer, expected)
