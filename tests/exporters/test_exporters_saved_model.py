from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from mlflow_tfconv.device import Device
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.exporters import streamed_checkpoint
from mlflow_tfconv.exporters.onnx_from_traced import onnx_from_traced
from mlflow_tfconv.exporters.saved_model_from_traced import saved_model_from_traced
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.exporters.traced_from_saved_model import traced_from_saved_model
from mlflow_tfconv.runtimes.runtime import open_runtime
from mlflow_tfconv.sources.options import SourceOptions

LEGACY = Path(__file__).parents[1] / "fixtures/legacy"
X = np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 4)


class Network(tf.Module):
    """Two layers, and two ways to call it."""

    def __init__(self) -> None:
        super().__init__()
        generator = np.random.default_rng(0)
        self.kernel = tf.Variable(generator.normal(size=(4, 3)).astype(np.float32), name="kernel")
        self.bias = tf.Variable([0.5, -0.5, 1.0], trainable=False, name="bias")

    @tf.function(input_signature=[tf.TensorSpec((None, 4), tf.float32)])
    def __call__(self, x: Any) -> Any:
        hidden = tf.matmul(x, self.kernel, name="hidden")
        with tf.name_scope("last"):
            score = tf.nn.relu(hidden + self.bias, name="relu")
        return {"score": score, "double": 2 * score}

    @tf.function(input_signature=[tf.TensorSpec((None, 4), tf.float32, "data")])
    def encode(self, data: Any) -> Any:
        return tf.matmul(data, self.kernel)


@pytest.fixture(scope="module")
def network() -> Network:
    return Network()


@pytest.fixture(scope="module")
def folder(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With two signatures, none of them `serving_default`."""
    path = tmp_path_factory.mktemp("saved_model") / "sm"
    signatures = {"score": network.__call__, "embed": network.encode}
    tf.saved_model.save(network, str(path), signatures=signatures)
    return path


def read(path: Path, **options: Any) -> Traced:
    return traced_from_saved_model(path, SourceOptions(**options), device=Device())


def outputs(traced: Traced, batch: dict[str, Any], work: Path, *, onnx: bool = True) -> Any:
    """What the source gives, after its exports gave the same."""
    with traced.open_reference() as reference:
        expected = reference.predict(batch)
    saved_model_from_traced(traced, work / "out")
    if onnx:
        onnx_from_traced(traced, work / "out.onnx", opset=17)
    for path in sorted(work.glob("out*")):
        with open_runtime(path) as runtime:
            found = runtime.predict(batch)
        assert sorted(found) == sorted(expected)
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, atol=1e-6)
    return expected


@pytest.mark.parametrize(
    "name",
    [
        "k09_tf1_savedmodel_simple_save",
        "k13_tf1_estimator_model_fn",
        "k15_tfkeras23_savedmodel",
        "k18_tfkeras23_multi_io_dict",
    ],
)
def test_saved_models_of_old_libraries_give_what_they_gave(name: str, tmp_path: Path) -> None:
    case = json.loads((LEGACY / name / "case.json").read_text())
    known = np.load(LEGACY / name / "expected.npz")
    traced = read(LEGACY / name / case["entry"])
    batch = {spec.name: known[f"in__{spec.name}"] for spec in traced.inputs}
    found = outputs(traced, batch, tmp_path)
    assert sorted(found) == sorted(case["outputs"])
    for output, value in found.items():
        np.testing.assert_allclose(value, known[f"out__{output}"], **case["tolerance"])


def test_a_function_is_the_model_when_there_are_no_signatures(
    network: Network, tmp_path: Path
) -> None:
    tf.saved_model.save(network, str(tmp_path / "sm"))
    traced = read(tmp_path / "sm")
    assert [str(choice) for choice in traced.choices] == [
        "signature: __call__; instead: encode (argument `signature`)"
    ]
    found = outputs(traced, {"x": X}, tmp_path)
    np.testing.assert_allclose(found["score"], network(X)["score"], atol=1e-6)


def test_any_signature_or_function_can_be_chosen(folder: Path, tmp_path: Path) -> None:
    traced = read(folder, signature="embed")
    assert [spec.name for spec in (*traced.inputs, *traced.outputs)] == ["data", "output_0"]
    assert traced.parameters == 12  # without the bias, which it does not need
    assert read(folder, signature="encode").inputs == traced.inputs


def test_candidates_are_listed_with_what_they_take_and_give(folder: Path) -> None:
    shown = r"score\(x: float32 \(any, 4\)\) -> \(double: float32 \(any, 3\), score"
    with pytest.raises(ConversionError, match=shown):
        read(folder)
    with pytest.raises(ConversionError, match="Expected: signature='embed'"):
        read(folder, signature="embd")


def test_tags_have_to_be_those_of_the_graph(folder: Path) -> None:
    assert read(folder, signature="embed", tags=frozenset({"serve"})).inputs
    with pytest.raises(ConversionError, match=r"its only tag set: \['serve'\]"):
        read(folder, tags=frozenset({"serve", "gpu"}))


def test_inputs_and_outputs_can_be_renamed_and_left_out(folder: Path, tmp_path: Path) -> None:
    traced = read(folder, signature="score", inputs={"rows": "x"}, outputs={"y": "double:0"})
    assert list(outputs(traced, {"rows": X}, tmp_path)) == ["y"]


def test_the_graph_can_be_cut_at_any_tensor(folder: Path, network: Network, tmp_path: Path) -> None:
    asked = {"inputs": {"hidden": "hidden"}, "outputs": {"score": "score", "relu": "last/relu:0"}}
    traced = read(folder, signature="score", **asked)
    assert [(s.name, s.shape) for s in traced.inputs] == [("hidden", (None, 3))]
    assert traced.parameters == 3
    hidden = X @ network.kernel.numpy()
    found = outputs(traced, {"hidden": hidden}, tmp_path)
    np.testing.assert_allclose(found["relu"], network(X)["score"], atol=1e-6)


def test_an_output_can_be_named_by_its_layer(folder: Path) -> None:
    traced = read(folder, signature="score", outputs={"y": "last"})
    assert [(s.name, s.shape) for s in traced.outputs] == [("y", (None, 3))]


def test_a_tensor_that_is_not_there_is_answered_with_those_that_are_near(folder: Path) -> None:
    with pytest.raises(ConversionError, match=r"hidden:0 \(float32 \[any, 3\]\)"):
        read(folder, signature="score", outputs={"y": "hiden"})
    with pytest.raises(ConversionError, match="need the input 'x' too"):
        read(folder, signature="score", inputs={"late": "last/relu"}, outputs={"y": "hidden"})


def test_shapes_can_be_fixed(folder: Path) -> None:
    traced = read(folder, signature="score", shapes={"x": (5, 4)})
    assert [s.shape for s in (*traced.inputs, *traced.outputs)] == [(5, 4), (5, 3), (5, 3)]
    with pytest.raises(ConversionError, match="can't have this shape"):
        read(folder, signature="score", shapes={"x": (5, 3)})


def test_weights_are_read_when_they_are_needed(folder: Path, network: Network) -> None:
    traced = read(folder, signature="score")
    assert not traced.weights.in_memory
    values = {v.name: traced.weights.value(v) for v in traced.function.graph.variables}
    np.testing.assert_array_equal(values["kernel:0"], network.kernel.numpy())
    assert not any(tf.raw_ops.VarIsInitializedOp(resource=v.handle) for v in traced.module.weights)


def test_a_streamed_saved_model_is_like_one_of_tensorflow(
    folder: Path, network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streamed_checkpoint, "PART_BYTES", 1)  # each weight in a file of its own
    saved_model_from_traced(read(folder, signature="score"), tmp_path / "sm")
    files = {path.name for path in (tmp_path / "sm/variables").iterdir()}
    shards = {f"variables.data-0000{n}-of-00002" for n in range(2)}
    assert files == {"variables.index", *shards}
    loaded = tf.saved_model.load(str(tmp_path / "sm"))
    assert [v.trainable for v in loaded.weights] == [True, False]
    np.testing.assert_array_equal(loaded.weights[0].numpy(), network.kernel.numpy())
    signature = loaded.signatures["serving_default"]
    assert len(signature.trainable_variables) == 1
    np.testing.assert_allclose(signature(x=X)["score"], network(X)["score"], atol=1e-6)


def test_weights_of_any_type_and_shape_are_streamed(tmp_path: Path) -> None:
    module = tf.Module()
    numbers = [np.float32([1, 2]), np.float64(3), np.float16([4, 5]), np.int8(6), np.array(True)]
    numbers += [np.complex64([7 + 1j, 8]), tf.cast(9, tf.bfloat16), np.ones((0, 3), np.float32)]
    module.numbers = [tf.Variable(number) for number in numbers]
    module.text = tf.Variable([b"a\0", b"bc"])
    module.grown = tf.Variable([[1.0, 2.0]], shape=tf.TensorShape([None, 2]))
    module.tied = module.numbers[0]

    @tf.function(input_signature=[tf.TensorSpec((None, 1), tf.float32, "x")])
    def total(x: Any) -> Any:
        parts = [tf.reduce_sum(tf.cast(v, tf.float32)) for v in (*module.numbers, module.grown)]
        return {"y": x + tf.add_n(parts) + tf.cast(tf.strings.length(module.text), tf.float32)}

    folder = tmp_path / "a [b] * c"  # TensorFlow takes such names for patterns
    tf.saved_model.save(module, str(folder / "sm"), signatures=total)
    found = outputs(read(folder / "sm"), {"x": np.zeros((1, 1), np.float32)}, folder, onnx=False)
    assert found["y"].tolist() == [[51, 51]]


def test_a_streamed_saved_model_serves_in_a_session_of_tensorflow_1(
    folder: Path, network: Network, tmp_path: Path
) -> None:
    saved_model_from_traced(read(folder, signature="score"), tmp_path / "sm")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta_graph = tf.compat.v1.saved_model.load(session, ["serve"], str(tmp_path / "sm"))
        signature = meta_graph.signature_def["serving_default"]
        fetched = signature.outputs["score"].name
        found = session.run(fetched, {signature.inputs["x"].name: X})
    np.testing.assert_allclose(found, network(X)["score"], atol=1e-6)


def test_a_table_and_its_asset_stay_in_the_saved_model(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("a\nb\n")
    module = tf.Module()
    lines = tf.lookup.TextFileInitializer(
        str(tmp_path / "words.txt"), tf.string, 0, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
    )
    module.table = tf.lookup.StaticHashTable(lines, -1)
    module.rows = tf.Variable([[0.0], [1.0], [2.0]])
    specs = [tf.TensorSpec((None,), tf.string, "words")]

    @tf.function(input_signature=specs)
    def embed(words: Any) -> Any:
        return {"rows": tf.gather(module.rows, module.table.lookup(words) + 1)}

    tf.saved_model.save(module, str(tmp_path / "sm"), signatures=embed)
    (tmp_path / "words.txt").unlink()
    traced = read(tmp_path / "sm")
    assert not traced.weights.in_memory
    words = np.array(["b", "c", "a"], object)
    found = outputs(traced, {"words": words}, tmp_path, onnx=False)
    assert found["rows"].ravel().tolist() == [2, 0, 1]


def test_a_table_that_changes_keeps_its_rows(tmp_path: Path) -> None:
    module = tf.Module()
    module.table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
    module.table.insert(["a"], tf.constant([7], tf.int64))
    specs = [tf.TensorSpec((None,), tf.string, "words")]
    lookup = tf.function(lambda words: {"row": module.table.lookup(words)}, input_signature=specs)
    module.lookup = lookup
    tf.saved_model.save(module, str(tmp_path / "sm"), signatures=lookup)
    words = np.array(["a", "b"], object)
    found = outputs(read(tmp_path / "sm"), {"words": words}, tmp_path, onnx=False)
    assert found["row"].tolist() == [7, -1]


def test_a_gradient_of_the_models_own_is_kept(tmp_path: Path) -> None:
    @tf.custom_gradient
    def reversed_gradient(x: Any) -> Any:
        return tf.identity(x), lambda upstream: -upstream

    specs = [tf.TensorSpec((None,), tf.float32, "x")]
    function = tf.function(lambda x: {"y": reversed_gradient(2 * x)}, input_signature=specs)
    tf.saved_model.save(tf.Module(), str(tmp_path / "sm"), signatures=function)
    saved_model_from_traced(read(tmp_path / "sm"), tmp_path / "out")
    loaded = tf.saved_model.load(str(tmp_path / "out"))
    x = tf.constant([1.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = loaded.signatures["serving_default"](x=x)["y"]
    assert tape.gradient(y, x).numpy().tolist() == [-2]


def test_an_input_of_unknown_rank_gets_a_shape_or_a_warning(tmp_path: Path) -> None:
    specs = [tf.TensorSpec(None, tf.float32, "x")]
    function = tf.function(lambda x: {"y": 2 * x}, input_signature=specs)
    tf.saved_model.save(tf.Module(), str(tmp_path / "sm"), signatures=function)
    traced = read(tmp_path / "sm")
    assert "shapes={'x': (None, ...)}" in traced.warnings[0]
    found = outputs(traced, {"x": X}, tmp_path, onnx=False)
    assert found["y"].shape == (2, 4)
    shaped = read(tmp_path / "sm", shapes={"x": (None, 4)})
    assert (shaped.outputs[0].shape, shaped.warnings) == ((None, 4), ())


def test_unsafe_operations_are_refused_unless_cut_away_or_trusted(tmp_path: Path) -> None:
    @tf.function(input_signature=[tf.TensorSpec((), tf.string, "name")])
    def decode(name: Any) -> Any:
        size = tf.cast(tf.strings.length(tf.io.read_file(name)), tf.float32, name="size")
        return {"y": 2 * size}

    tf.saved_model.save(tf.Module(), str(tmp_path / "sm"), signatures=decode)
    with pytest.raises(ConversionError, match="operation ReadFile, node ReadFile of function"):
        read(tmp_path / "sm")
    saved_model_from_traced(read(tmp_path / "sm", trust=True), tmp_path / "trusted")
    (tmp_path / "three.txt").write_text("abc")
    with open_runtime(tmp_path / "trusted", trust=True) as runtime:
        found = runtime.predict({"name": np.array(str(tmp_path / "three.txt"), object)})
    assert found["y"] == 6
    cut = read(tmp_path / "sm", inputs={"size": "size"}, outputs={"y": "y"})
    found = outputs(cut, {"size": np.array(3, np.float32)}, tmp_path)
    assert found["y"] == 6


def test_an_operation_that_nobody_knows_is_named_with_its_node(
    folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "sm")
    graph = tmp_path / "sm/saved_model.pb"
    graph.write_bytes(graph.read_bytes().replace(b"\x12\x06MatMul", b"\x12\x06MatMux"))
    with pytest.raises(ConversionError, match=r"MatMux is not known(.|\n)*node hidden of function"):
        read(tmp_path / "sm", signature="score")


def test_damage_to_a_weight_names_the_file_and_the_weight(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "sm")
    data = tmp_path / "sm/variables/variables.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[content.index(np.float32([0.5, -0.5, 1.0]).tobytes())] ^= 1
    data.write_bytes(content)
    with pytest.raises(ConversionError, match=r"tensor bias/\S+ in variables.data-00000-of-00001"):
        read(tmp_path / "sm", signature="score")


def test_variables_of_another_model_are_told(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "sm")
    other = tf.Module()
    other.kernel = tf.Variable(tf.zeros((4, 5)))
    shutil.rmtree(tmp_path / "sm/variables")
    tf.saved_model.save(other, str(tmp_path / "other"))
    shutil.copytree(tmp_path / "other/variables", tmp_path / "sm/variables")
    with pytest.raises(ConversionError, match=r"kernel is not in its checkpoint.*\[4, 5\]"):
        read(tmp_path / "sm", signature="embed")


def test_weights_that_are_no_numbers_are_a_warning(tmp_path: Path) -> None:
    module = tf.Module()
    module.scale = tf.Variable([1.0, np.nan], name="scale")
    specs = [tf.TensorSpec((None,), tf.float32, "x")]
    function = tf.function(lambda x: {"y": x * module.scale[0]}, input_signature=specs)
    tf.saved_model.save(module, str(tmp_path / "sm"), signatures=function)
    assert read(tmp_path / "sm").warnings == ("Variable scale holds 1 NaN among its 2 values.",)
