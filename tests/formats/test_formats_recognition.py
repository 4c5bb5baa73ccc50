from __future__ import annotations

import gzip
import json
import pickle
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.formats.recognition import recognised


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Keras model and a tiny graph, in every form that they are kept in."""
    folder = tmp_path_factory.mktemp("formats")
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
    model.save(folder / "model.keras")
    model.save_weights(folder / "new.weights.h5")
    with h5py.File(folder / "old.h5", "w") as file:
        file.attrs["model_config"] = "{}"
    with h5py.File(folder / "old_weights.h5", "w") as file:
        file.attrs["layer_names"] = [b"dense"]
    text = model.to_json()
    (folder / "model.json").write_text(text)
    (folder / "twice.json").write_text(json.dumps(text))
    (folder / "model.yaml").write_text("backend: tensorflow\nclass_name: Sequential\nconfig: []\n")
    (folder / "net.cfg").write_text("# tiny\n[net]\nwidth=8\n")
    header = np.array([0, 1, 0, 64000], "<i4").tobytes()
    weights = np.random.default_rng(0).normal(size=400).astype("<f4").tobytes()
    (folder / "net.weights").write_bytes(header + weights)
    _graph(folder)
    tf.train.Checkpoint(v=tf.Variable(1.0)).write(str(folder / "objects"))
    return folder


def _graph(folder: Path) -> None:
    with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
        x = tf.compat.v1.placeholder(tf.float32, (None, 2), name="x")
        y = tf.matmul(x, tf.compat.v1.get_variable("w", (2, 2), use_resource=False), name="y")
        session.run(tf.compat.v1.global_variables_initializer())
        (folder / "checkpoints").mkdir()
        saver = tf.compat.v1.train.Saver
        saver().save(session, str(folder / "checkpoints/model.ckpt"))
        version = tf.compat.v1.train.SaverDef.V1
        saver(write_version=version).save(session, str(folder / "v1.ckpt"), write_state=False)
        (folder / "graph.pb").write_bytes(graph.as_graph_def().SerializeToString())
        tf.io.write_graph(graph, str(folder), "graph.pbtxt")
        meta = tf.compat.v1.train.export_meta_graph(str(folder / "meta.pbtxt"), as_text=True)
        (folder / "meta.pb").write_bytes(meta.SerializeToString())
        for time in ("1500000000", "1600000000"):
            export = str(folder / "exports" / time)
            tf.compat.v1.saved_model.simple_save(session, export, {"x": x}, {"y": y})


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("model.keras", "keras"),
        ("old.h5", "keras_h5"),
        ("new.weights.h5", "weights_h5"),
        ("old_weights.h5", "weights_h5"),
        ("model.json", "keras_json"),
        ("twice.json", "keras_json"),
        ("model.yaml", "keras_yaml"),
        ("net.cfg", "darknet_cfg"),
        ("net.weights", "darknet_weights"),
        ("graph.pb", "graph_def"),
        ("graph.pbtxt", "graph_text"),
        ("meta.pb", "meta_graph"),
        ("meta.pbtxt", "graph_text"),
        ("v1.ckpt", "tf_checkpoint_v1"),
    ],
)
def test_a_file_is_told_by_content_whatever_its_name(
    files: Path, tmp_path: Path, name: str, told: str
) -> None:
    misnamed = tmp_path / "model.bin"
    misnamed.write_bytes((files / name).read_bytes())
    assert recognised(files / name).format == told
    assert recognised(misnamed).format == told


def test_a_checkpoint_is_known_by_its_prefix_and_by_each_of_its_files(files: Path) -> None:
    prefix = files / "checkpoints/model.ckpt"
    for name in ("", ".index", ".data-00000-of-00001"):
        found = recognised(prefix.with_name(f"model.ckpt{name}"))
        assert (found.format, found.path) == ("tf_checkpoint", prefix)
        assert "with its graph" in found.detail
    assert recognised(prefix.with_name("model.ckpt.meta")).format == "meta_graph"
    assert recognised(files / "objects").format == "object_checkpoint"


def test_folders_are_told_by_what_is_in_them(files: Path) -> None:
    assert recognised(files / "checkpoints").format == "tf_checkpoint_folder"
    assert recognised(files / "checkpoints/checkpoint").format == "tf_checkpoint_folder"
    assert recognised(files / "exports/1600000000").format == "saved_model"
    found = recognised(files / "exports")
    assert (found.format, found.detail) == ("exports_folder", "1500000000, 1600000000")


def test_archives_are_told_by_content(files: Path, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(gzip.compress((files / "old.h5").read_bytes()))
    with tarfile.open(tmp_path / "b", "w") as tar:
        tar.add(files / "old.h5")
    with zipfile.ZipFile(tmp_path / "c", "w") as archive:
        archive.write(files / "old.h5")
    assert [recognised(tmp_path / name).format for name in "abc"] == ["archive"] * 3


def test_hdf5_behind_a_block_of_the_users_own_is_known(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "m", "w", userblock_size=512) as file:
        file.attrs["model_config"] = "{}"
    assert recognised(tmp_path / "m").format == "keras_h5"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hello\n", "no model that we know"),
        (b"", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "Git LFS"),
        (pickle.dumps({"a": [1] * 9}), "a pickle of Python"),
        (b'{"class_name": "Sequential", "config": [', "not whole JSON"),
        (b'{"modelTopology": {}}', r"TensorFlow\.js"),
        (b"\x89HDF\r\n\x1a\n" + b"\x00" * 40, "an HDF5 file that can't be read"),
    ],
)
def test_what_is_no_model_is_said_to_be_none(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ConversionError, match=message):
        recognised(tmp_path / "file")


def test_paths_without_a_model_are_told(tmp_path: Path) -> None:
    (tmp_path / "export/variables").mkdir(parents=True)
    with pytest.raises(ConversionError, match=r"saved_model\.pb is missing"):
        recognised(tmp_path / "export")
    for path in (tmp_path / "missing.h5", tmp_path / ("x" * 5000), "a\0b"):
        with pytest.raises(ConversionError, match="There is no model"):
            recognised(path)


def test_a_cut_graph_is_not_taken_for_a_whole_one(files: Path, tmp_path: Path) -> None:
    for name, words in (("graph.pb", "not a whole GraphDef"), ("meta.pb", "not a whole MetaGraph")):
        (tmp_path / name).write_bytes((files / name).read_bytes()[:-9])
        with pytest.raises(ConversionError, match=words):
            recognised(tmp_path / name)


def test_a_pointer_in_the_place_of_a_checkpoints_file_is_told(files: Path, tmp_path: Path) -> None:
    index = (files / "checkpoints/model.ckpt.index").read_bytes()
    (tmp_path / "m.ckpt.index").write_bytes(index)
    pointer = "version https://git-lfs.github.com/spec/v1\n"
    (tmp_path / "m.ckpt.data-00000-of-00001").write_text(pointer)
    with pytest.raises(ConversionError, match=r"m\.ckpt\.data-00000-of-00001 is a Git LFS pointer"):
        recognised(tmp_path / "m.ckpt")


def test_any_bytes_are_recognised_or_refused_in_words(files: Path, tmp_path: Path) -> None:
    """Random files, and known ones that were cut off or altered."""
    generator = np.random.default_rng(7)
    path = tmp_path / "file"
    originals = [file.read_bytes() for file in sorted(files.iterdir()) if file.is_file()]
    for _ in range(400):
        original = originals[generator.integers(len(originals))]
        content = bytearray(original[: generator.integers(1, len(original) + 1)])
        for place in generator.integers(0, len(content), generator.integers(0, 4)):
            content[place] = generator.integers(256)
        if generator.random() < 0.2:
            content = bytearray(generator.bytes(generator.integers(1, 2000)))
        path.write_bytes(content)
        with suppress(ConversionError):
            recognised(path)
