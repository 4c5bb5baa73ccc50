from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.formats.recognition import recognised


def test_a_format_is_told_by_content_not_by_name(
    model: Any, keras_file: Path, tmp_path: Path
) -> None:
    misnamed = tmp_path / "model.h5"
    shutil.copy(keras_file, misnamed)
    model.save(tmp_path / "real.h5")
    model.save_weights(tmp_path / "some.weights.h5")
    assert recognised(misnamed).format == "keras"
    assert recognised(tmp_path / "real.h5").format == "keras_h5"
    assert recognised(tmp_path / "some.weights.h5").format == "weights_h5"


def test_protobuf_messages_are_told_apart(tmp_path: Path) -> None:
    import tensorflow as tf

    with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
        x = tf.compat.v1.placeholder(tf.float32, (None, 2), name="x")
        weight = tf.compat.v1.get_variable("w", (2, 2))
        tf.matmul(x, weight, name="y")
        session.run(tf.compat.v1.global_variables_initializer())
        prefix = tf.compat.v1.train.Saver().save(session, str(tmp_path / "model.ckpt"))
        (tmp_path / "graph.pb").write_bytes(graph.as_graph_def().SerializeToString())
    assert recognised(tmp_path / "graph.pb").format == "graph_def"
    assert recognised(tmp_path / "model.ckpt.meta").format == "meta_graph"
    assert recognised(tmp_path / "model.ckpt.index").format == "tf_checkpoint"
    assert recognised(tmp_path / "model.ckpt.data-00000-of-00001").path == Path(prefix)
    assert recognised(tmp_path / "checkpoint").format == "tf_checkpoint_folder"
    assert "with its graph" in recognised(prefix).detail


def test_a_cut_graph_is_not_taken_for_a_whole_one(tmp_path: Path) -> None:
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        tf.constant([1.0] * 100, name="weights")
    whole = graph.as_graph_def().SerializeToString()
    (tmp_path / "graph.pb").write_bytes(whole[:-20])
    with pytest.raises(ConversionError, match="cut off"):
        recognised(tmp_path / "graph.pb")


def test_what_is_no_model_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "pointer.h5").write_text("version https://git-lfs.github.com/spec/v1\n")
    (tmp_path / "export" / "variables").mkdir(parents=True)
    for name, message in (
        ("notes.txt", "no model that we know"),
        ("missing.h5", "There is no model"),
        ("pointer.h5", "Git LFS"),
        ("export", r"saved_model\.pb is missing"),
    ):
        with pytest.raises(ConversionError, match=message):
            recognised(tmp_path / name)
