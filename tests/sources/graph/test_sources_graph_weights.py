from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from saver_checkpoints import BIAS, KERNEL, dense_graph, saved, saved_v1, v1

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.graph.graph_file import graph_file
from mlflow_tfconv.sources.graph.graph_source import GraphSource, require_weights
from mlflow_tfconv.sources.graph.graph_source_from_checkpoint import graph_source_from_checkpoint
from mlflow_tfconv.sources.graph.not_finite import not_finite, not_finite_weights
from mlflow_tfconv.sources.graph.stored_weights import stored_weights
from mlflow_tfconv.sources.options import SourceOptions

FIXTURES = Path(__file__).parents[2] / "fixtures"
NOTHING_SAID = SourceOptions()


def values(source: GraphSource):
    return {name: weight.read() for name, weight in source.weights.items()}


@pytest.mark.parametrize("save", [saved, saved_v1])
@pytest.mark.parametrize("resource", [False, True])
def test_variables_find_their_values(save, resource, tmp_path):
    save(tmp_path / "m", build=partial(dense_graph, resource=resource))
    found = values(graph_source_from_checkpoint(tmp_path / "m", NOTHING_SAID))
    np.testing.assert_array_equal(found["layer/kernel"], KERNEL)
    np.testing.assert_array_equal(found["layer/bias"], BIAS)


@pytest.mark.parametrize("save", [saved, saved_v1])
@pytest.mark.parametrize("resource", [False, True])
def test_parts_of_a_variable_are_cut_out_of_the_whole(save, resource, tmp_path):
    save(tmp_path / "m", build=partial(dense_graph, resource=resource, partitions=2))
    found = values(graph_source_from_checkpoint(tmp_path / "m", NOTHING_SAID))
    np.testing.assert_array_equal(found["layer/kernel/part_0"], KERNEL[:2])
    np.testing.assert_array_equal(found["layer/kernel/part_1"], KERNEL[2:])


@pytest.mark.parametrize("keep_collections", [True, False])
def test_parts_are_known_without_a_saver_in_the_graph(keep_collections, tmp_path):
    saved(tmp_path / "m", build=partial(dense_graph, partitions=2))
    source = graph_source_from_checkpoint(tmp_path / "m", NOTHING_SAID)
    bare = without_saver(source.graph_def)
    meta = source.meta if keep_collections else None
    found = stored_weights(bare, source.checkpoint, meta)
    np.testing.assert_array_equal(found.weights["layer/kernel/part_1"].read(), KERNEL[2:])
    assert not found.conflicts


def test_keys_that_differ_from_names_are_the_savers(tmp_path):
    def build():
        v1.get_variable("v", initializer=tf.constant([1.0]))
        v1.get_variable("w", initializer=tf.constant([2.0]))

    saved_as(tmp_path / "m", build, lambda v, w: {"w": v, "v": w})
    found = values(graph_source_from_checkpoint(tmp_path / "m", NOTHING_SAID))
    assert {name: value.tolist() for name, value in found.items()} == {"v": [1.0], "w": [2.0]}


def test_a_key_that_the_graph_restores_and_the_checkpoint_lacks_is_told(tmp_path):
    def build():
        v1.get_variable("v", initializer=tf.constant([1.0]))

    saved_as(tmp_path / "averages", build, lambda v: {"v/ExponentialMovingAverage": v})
    saved(tmp_path / "m", build=build)
    options = SourceOptions(architecture=tmp_path / "averages.meta")
    (warning,) = graph_source_from_checkpoint(tmp_path / "m", options).warnings
    assert "v from v/ExponentialMovingAverage, which is not in the checkpoint; v was" in warning


def test_what_only_initializes_from_another_checkpoint_is_not_believed(tmp_path):
    saved(tmp_path / "first", build=lambda: v1.get_variable("a", initializer=tf.constant([9.0])))

    def build():
        a = v1.get_variable("a", initializer=tf.constant([1.0]), use_resource=False)
        v1.get_variable("b", initializer=tf.constant([2.0]), use_resource=False)
        (old,) = tf.raw_ops.RestoreV2(
            prefix=str(tmp_path / "first"),
            tensor_names=["b"],
            shape_and_slices=[""],
            dtypes=[tf.float32],
        )
        v1.assign(a, old, validate_shape=False)

    saved(tmp_path / "m", build=build)
    found = values(graph_source_from_checkpoint(tmp_path / "m", NOTHING_SAID))
    assert found["a"].tolist() == [1.0]


def test_a_saver_that_reshapes_is_understood(tmp_path):
    saved(tmp_path / "m", build=lambda: v1.get_variable("v", initializer=tf.zeros([6])))

    def build():
        v1.get_variable("v", [2, 3], use_resource=False)

    saved(tmp_path / "other", build=build, reshape=True)
    options = SourceOptions(architecture=tmp_path / "other.meta")
    source = graph_source_from_checkpoint(tmp_path / "m", options)
    assert source.weights["v"].read().shape == source.weights["v"].shape == (2, 3)


def test_a_variable_that_no_saver_saves_is_told_apart(tmp_path):
    def build():
        v1.get_variable("v", initializer=tf.constant([1.0]))
        v1.get_variable("count", initializer=tf.constant(0.0))

    saved_as(tmp_path / "m", build, lambda count, v: {"v": v})
    source = graph_source_from_checkpoint(tmp_path / "m", NOTHING_SAID)
    assert set(source.weights) == {"v"}
    assert not source.conflicts["count"].saved


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("c03_meta_missing_variable/m.ckpt", r"variable gate \(float32 \[8\]\) is not in the"),
        ("c03_meta_other_graph/cnn.ckpt", r"layer1/w1 \(float32 \[196, 64\]\).*output/b3"),
    ],
)
def test_variables_that_the_checkpoint_lacks_are_named(case, says):
    source = graph_source_from_checkpoint(FIXTURES / "hostile" / case, NOTHING_SAID)
    with pytest.raises(ConversionError, match=says):
        require_weights(source, [*source.weights, *source.conflicts])
    require_weights(source, source.weights)


@pytest.mark.parametrize(
    ("shape", "dtype", "says"),
    [([5, 3], tf.float32, r"has shape \[4, 3\] in"), ([4, 3], tf.float16, "has type float32 in")],
)
def test_another_shape_or_type_is_told(shape, dtype, says, tmp_path):
    saved(tmp_path / "m")

    def build():
        v1.get_variable("layer/kernel", shape, dtype)

    saved(tmp_path / "other", build=build)
    options = SourceOptions(architecture=tmp_path / "other.meta")
    source = graph_source_from_checkpoint(tmp_path / "m", options)
    with pytest.raises(ConversionError, match=f"variable layer/kernel .* {says}"):
        require_weights(source, ["layer/kernel"])


@pytest.mark.parametrize(
    "case", sorted((FIXTURES / "legacy").glob("*/*.meta")), ids=lambda p: p.stem
)
def test_every_variable_of_old_graphs_finds_its_value(case):
    source = graph_source_from_checkpoint(case, NOTHING_SAID)
    assert source.weights
    assert not source.conflicts
    for weight in source.weights.values():
        value = weight.read()
        assert (value.shape, value.dtype.name) == (weight.shape, weight.dtype)


def test_nan_and_infinite_weights_are_counted():
    place = FIXTURES / "hostile" / "c08_nan_weights_tf1" / "m.ckpt"
    source = graph_source_from_checkpoint(place, NOTHING_SAID)
    (warning,) = not_finite_weights(source, source.weights)
    assert warning == "Variable v holds 1 NaN and 1 inf among its 24 values."


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "complex64", "int32"])
def test_finite_values_of_any_type_are_quiet(dtype):
    assert not_finite("v", tf.cast(tf.constant([0, 1]), dtype).numpy()) is None


def without_saver(graph_def):
    bare = v1.GraphDef()
    bare.node.extend(node for node in graph_def.node if not node.name.startswith("save"))
    return bare


def saved_as(prefix, build, names):
    """Saves with a Saver that is given keys; variables come sorted by name."""
    with tf.Graph().as_default(), v1.Session() as session:
        build()
        session.run(v1.global_variables_initializer())
        variables = sorted(v1.global_variables(), key=lambda variable: variable.name)
        v1.train.Saver(names(*variables)).save(session, str(prefix))
    return graph_file(prefix.with_name(f"{prefix.name}.meta"))
