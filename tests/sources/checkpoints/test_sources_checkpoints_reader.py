from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from saver_checkpoints import BIAS, KERNEL, dense_graph, saved, saved_v1, two_devices

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.checkpoints.checkpoint_reader import CheckpointReader
from mlflow_tfconv.sources.checkpoints.tensor_slice import tensor_slice

in_two_parts = partial(dense_graph, partitions=2)


@pytest.mark.parametrize("save", [saved, saved_v1])
@pytest.mark.parametrize("build", [dense_graph, in_two_parts])
def test_both_formats_give_keys_types_shapes_and_values(save, build, tmp_path):
    save(tmp_path / "model.ckpt", build=build)
    checkpoint = CheckpointReader(tmp_path / "model.ckpt")
    assert checkpoint.keys() == ("layer/bias", "layer/kernel")
    assert checkpoint.dtype("layer/kernel") == "float32"
    assert checkpoint.shape("layer/kernel") == (4, 3)
    np.testing.assert_array_equal(checkpoint.read("layer/kernel"), KERNEL)
    np.testing.assert_array_equal(checkpoint.read("layer/bias"), BIAS)


@pytest.mark.parametrize("save", [saved, saved_v1])
@pytest.mark.parametrize("build", [dense_graph, in_two_parts])
def test_a_part_of_a_tensor_is_read_however_it_was_saved(save, build, tmp_path):
    save(tmp_path / "model.ckpt", build=build)
    part = CheckpointReader(tmp_path / "model.ckpt").read(
        "layer/kernel", tensor_slice("4 3 1,2:0,3")
    )
    np.testing.assert_array_equal(part, KERNEL[1:3])


@pytest.mark.parametrize("save", [saved, saved_v1])
def test_checkpoints_in_several_files_are_one(save, tmp_path):
    save(tmp_path / "model.ckpt", build=two_devices, sharded=True)
    checkpoint = CheckpointReader(tmp_path / "model.ckpt")
    assert [checkpoint.read(name).tolist() for name in checkpoint] == [[0.0], [1.0]]


@pytest.mark.parametrize("named", ["m.index", "m.meta", "m.data-00000-of-00001", "m"])
def test_any_file_of_a_checkpoint_names_it(named, tmp_path):
    saved(tmp_path / "m")
    assert CheckpointReader(tmp_path / named).prefix == tmp_path / "m"


@pytest.mark.parametrize("named", ["m-00001-of-00002", "m-?????-of-00002", "m.meta", "m"])
def test_any_file_of_a_v1_checkpoint_names_it(named, tmp_path):
    saved_v1(tmp_path / "m", build=two_devices, sharded=True)
    assert CheckpointReader(tmp_path / named).keys() == ("a", "b")


@pytest.mark.parametrize("save", [saved, saved_v1])
def test_a_path_with_brackets_is_a_path(save, tmp_path):
    folder = tmp_path / "run[lr=0.1]*"
    folder.mkdir()
    save(folder / "m[1]", build=in_two_parts)
    checkpoint = CheckpointReader(folder / "m[1]")
    np.testing.assert_array_equal(checkpoint.read("layer/kernel"), KERNEL)
    np.testing.assert_array_equal(checkpoint.read("layer/bias"), BIAS)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "int64", "bool", "complex64"])
def test_values_of_every_type_are_read(dtype, tmp_path):
    value = tf.cast(tf.constant([[0, 1]]), dtype)
    save_tensors(tmp_path / "m", {"v": value})
    checkpoint = CheckpointReader(tmp_path / "m")
    assert checkpoint.dtype("v") == dtype
    np.testing.assert_array_equal(checkpoint.read("v"), value.numpy())


def test_strings_scalars_and_empty_tensors_are_read(tmp_path):
    tensors = {"s": tf.constant(["a", "bc"]), "n": tf.constant(3), "e": tf.zeros([0, 2])}
    save_tensors(tmp_path / "m", tensors)
    checkpoint = CheckpointReader(tmp_path / "m")
    assert checkpoint.read("s").tolist() == [b"a", b"bc"]
    assert checkpoint.read("n").shape == ()
    assert checkpoint.read("e").shape == (0, 2)


def test_a_checkpoint_of_objects_describes_them(tmp_path):
    path = tf.train.Checkpoint(v=tf.Variable([1.0])).save(tmp_path / "m")
    graph = CheckpointReader(Path(path)).object_graph()
    assert [child.local_name for child in graph.nodes[0].children] == ["v", "save_counter"]


def test_a_checkpoint_of_a_saver_describes_no_objects(tmp_path):
    saved(tmp_path / "m")
    assert CheckpointReader(tmp_path / "m").object_graph() is None


def test_a_key_that_is_not_there_is_named(tmp_path):
    saved(tmp_path / "m")
    with pytest.raises(ConversionError, match="holds no 'layer/gate'"):
        CheckpointReader(tmp_path / "m").read("layer/gate")


def save_tensors(prefix, tensors):
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=list(tensors.values()),
    )
