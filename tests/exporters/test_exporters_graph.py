"""TensorFlow 1 graphs as SavedModel and ONNX, compared with what the old libraries computed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from training_graphs import classify, dense, features, saved, v1

from mlflow_tfconv.device import Device
from mlflow_tfconv.exporters.onnx_from_traced import onnx_from_traced
from mlflow_tfconv.exporters.saved_model_from_traced import saved_model_from_traced
from mlflow_tfconv.exporters.traced_from_graph import traced_from_graph
from mlflow_tfconv.exporters.traced_from_saved_model import traced_from_saved_model
from mlflow_tfconv.runtimes.runtime import open_runtime
from mlflow_tfconv.sources.options import SourceOptions

FIXTURES = Path(__file__).parents[1] / "fixtures" / "legacy"
NORMALISED = {"inputs": {"normalised": "Mul:0"}}
#: Entry to what the user says; the inputs and outputs that differ from the case's names; fast ones.
CASES = {
    "k03_tf1_layers_bn_is_training/model.ckpt-80": ({}, {"logits": "logits_BiasAdd"}),
    "k07_tf1_dynamic_rnn_lstm/lstm.ckpt-60": ({}, {"rnn_outputs": "rnn_transpose"}),
    "k13_tf1_estimator_model_fn/model_dir/model.ckpt-60": (
        {"inputs": {"x": "random_shuffle_queue_DequeueMany:1"}},
        {"classes": "ArgMax", "probabilities": "softmax_tensor"},
    ),
    "k16_tflearn_cnn/cnn.tfl": (
        {"inputs": {"x": "input/X"}},
        {"softmax": "FullyConnected_1_Softmax"},
    ),
    "k18_tf1_cond/cond.ckpt": ({}, {}),
}
SLOW_CASES = {
    "k12_tf1_ema/model.ckpt-60": ({"use_ema": True}, {"y_ema": "layer2_y"}),
    "k10_tf1_partitioned_fixed/part.ckpt": ({}, {}),
    "k01_tf1_mlp_saver/model.ckpt-150": (
        {"inputs": {"x": "inputs/input_x"}},
        {"logits": "output_logits", "y": "output_y"},
    ),
    "k02_tf1_cnn_keepprob_adam/cnn.ckpt": ({}, {}),
    "k04_tf1_slim_cifarnet/slim.ckpt-80": (
        {},
        {"logits": "CifarNet_logits_BiasAdd", "predictions": "predictions_Reshape_1"},
    ),
    "k05_tf1_queue_slice_producer/queue_model-60": ({"inputs": {"images": "batch:0"}}, {}),
    "k06_tf1_one_shot_iterator/model.ckpt": (
        {"inputs": {"features": "IteratorGetNext:0"}},
        {"logits": "fc3_BiasAdd"},
    ),
    "k08_tf1_frozen_cnn/frozen_model.pb": ({}, {}),
    "k11_tf012_checkpoint_v2/m.ckpt": ({"inputs": {"x": "x-input"}}, {}),
    "k11_tf1_checkpoint_v1/old.ckpt-60": ({}, {"logits": "fc_logits"}),
    "k18_tf1_decode_jpeg_string_input/retrained.ckpt": (NORMALISED, {}),
}


def converted(traced, folder):
    """The three runtimes: the source, its SavedModel and its ONNX."""
    saved_model_from_traced(traced, folder / "saved_model")
    assert onnx_from_traced(traced, folder / "model.onnx", opset=17) == ()
    paths = folder / "saved_model", folder / "model.onnx"
    return [traced.open_reference(), *map(open_runtime, paths)]


def answers(runtimes, batch):
    found = []
    for runtime in runtimes:
        with runtime:
            found.append(runtime.predict(batch))
    return found


@pytest.mark.parametrize(
    "entry", [*CASES, *(pytest.param(case, marks=pytest.mark.slow) for case in SLOW_CASES)]
)
def test_an_old_graph_gives_what_its_own_library_gave(entry, tmp_path):
    options, renamed = (CASES | SLOW_CASES)[entry]
    case = json.loads((FIXTURES / entry.split("/")[0] / "case.json").read_text())
    expected = np.load(FIXTURES / entry.split("/")[0] / "expected.npz")
    traced = traced_from_graph(FIXTURES / entry, SourceOptions(**options), device=Device())
    batch = _inputs(traced, expected)
    for found in answers(converted(traced, tmp_path), batch):
        for name in case["outputs"]:
            output = renamed.get(name, name)
            if output in found:
                np.testing.assert_allclose(
                    found[output], expected[f"out__{name}"], rtol=1e-4, atol=1e-5
                )
        assert set(found) & {renamed.get(name, name) for name in case["outputs"]}


def _inputs(traced, expected):
    given = {key[4:]: expected[key] for key in expected if key.startswith("in__")}
    names = {spec.name for spec in traced.inputs}
    if names <= set(given):
        return {name: given[name] for name in names}
    return {traced.inputs[0].name: next(iter(given.values()))}


def agree(build, tmp_path, *, functional=False):
    """Converts a graph and compares all its outputs on a batch."""
    traced = traced_from_graph(saved(build, tmp_path, functional=functional), device=Device())
    random = np.random.default_rng(0)
    batch = {
        spec.name: random.random([size or 4 for size in spec.shape]).astype(spec.dtype)
        for spec in traced.inputs
    }
    reference, *exports = answers(converted(traced, tmp_path), batch)
    for export in exports:
        for name, value in reference.items():
            np.testing.assert_allclose(export[name], value, rtol=1e-4, atol=1e-5)
    return traced


@pytest.mark.parametrize("functional", [False, True])
def test_a_loop_that_reads_a_resource_survives_without_what_gradients_keep(tmp_path, functional):
    def build():
        x = v1.placeholder(tf.float32, [None, 5, 4], "x")
        rows = v1.TensorArray(tf.float32, 5).unstack(tf.transpose(x, [1, 0, 2]))
        weights = v1.get_variable("w", [12, 8], use_resource=True)

        def step(turn, state):
            both = tf.concat([rows.read(turn), state], 1)
            return turn + 1, tf.tanh(tf.matmul(both, weights))

        start = [0, tf.zeros([tf.shape(x)[0], 8])]
        _, last = v1.while_loop(lambda turn, _: turn < 5, step, start)
        classify(dense(last, 3, "b", resource=True))

    traced = agree(build, tmp_path, functional=functional)
    assert traced.parameters == 12 * 8 + 8 * 3 + 3


def test_a_branch_on_the_data_survives(tmp_path):
    def build():
        x = features()
        large = tf.reduce_mean(x) > 0.4
        classify(tf.cond(large, lambda: dense(x, 3, "a"), lambda: 2.0 * dense(x, 3, "b")))

    agree(build, tmp_path)


def test_the_reference_runs_the_nodes_of_the_file(tmp_path):
    def build():
        hidden = v1.nn.dropout(dense(features(), 8, "a"), rate=v1.placeholder(tf.float32, [], "r"))
        classify(dense(hidden, 3, "b"))

    traced = traced_from_graph(saved(build, tmp_path), device=Device())
    with traced.open_reference() as runtime:
        assert runtime.is_original
        assert runtime.predict({"x": np.ones((2, 6), np.float32)})["b_BiasAdd"].shape == (2, 3)


def test_tables_of_constants_and_of_files_stay_in_the_saved_model(tmp_path):
    model = _with_tables(tmp_path)
    traced = traced_from_saved_model(model, SourceOptions(), device=Device())
    saved_model_from_traced(traced, tmp_path / "out")
    batch = {"words": np.array([b"b", b"none"], object)}
    runtimes = [traced.open_reference(), open_runtime(tmp_path / "out")]
    reference, export = answers(runtimes, batch)
    np.testing.assert_array_equal(reference["vectors"], export["vectors"])
    assert export["names"].tolist() == [b"one", b"nobody"]


def _with_tables(tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("a\nb\n")
    model = tmp_path / "model"
    with tf.Graph().as_default(), v1.Session() as session:
        text = v1.placeholder(tf.string, [None], "words")
        ids = tf.lookup.StaticHashTable(_lines(words), -1).lookup(text)
        named = tf.lookup.KeyValueTensorInitializer(tf.range(2, dtype=tf.int64), ["zero", "one"])
        names = tf.lookup.StaticHashTable(named, "nobody").lookup(ids)
        vectors = v1.nn.embedding_lookup(v1.get_variable("e", [3, 2]), ids + 1)
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        signature = v1.saved_model.predict_signature_def(
            {"words": text}, {"names": names, "vectors": vectors}
        )
        builder = v1.saved_model.Builder(str(model))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            signature_def_map={"serving_default": signature},
            main_op=v1.tables_initializer(),
            assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
        )
        builder.save()
    words.unlink()
    return model


def _lines(file):
    index = tf.lookup.TextFileIndex
    return tf.lookup.TextFileInitializer(
        str(file), tf.string, index.WHOLE_LINE, tf.int64, index.LINE_NUMBER
    )


def test_a_local_variable_has_its_initial_value(tmp_path):
    def build():
        scale = v1.get_variable(
            "scale",
            [6],
            initializer=v1.constant_initializer(3.0),
            trainable=False,
            collections=[v1.GraphKeys.LOCAL_VARIABLES],
        )
        classify(dense(features() * scale, 3, "b"))

    prefix = saved(build, tmp_path)
    traced = traced_from_graph(prefix, device=Device())
    assert "have their initial values: scale" in traced.warnings[0]
    x = np.ones((2, 6), np.float32)
    reference, export = answers(_pair(traced, tmp_path), {"x": x})
    np.testing.assert_allclose(export["b_BiasAdd"], reference["b_BiasAdd"], rtol=1e-5)


def _pair(traced, folder):
    saved_model_from_traced(traced, folder / "out")
    return [traced.open_reference(), open_runtime(folder / "out")]
