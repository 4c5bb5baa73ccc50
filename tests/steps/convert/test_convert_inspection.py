from __future__ import annotations

from pathlib import Path

import keras
import pytest
import tensorflow as tf

import mlflow_tfconv as tfconv
from mlflow_tfconv.errors import ConversionError

HOSTILE = Path(__file__).parents[2] / "fixtures/hostile"


def test_every_format_that_is_read_tells_its_inputs_and_outputs(
    cnn_file: Path, tmp_path: Path
) -> None:
    converted = tfconv.convert(cnn_file, tmp_path / "out")
    keras.saving.load_model(cnn_file).save(tmp_path / "cnn.h5")
    for path in (cnn_file, tmp_path / "cnn.h5", converted.saved_model, converted.onnx):
        info = tfconv.inspect_model(path)
        assert (info.inputs, info.outputs) == (converted.inputs, converted.outputs)
        assert info.problems == ()
        assert info.parameters
    text = str(tfconv.inspect_model(cnn_file))
    assert "input    image  float32 (any, 8, 8, 1)" in text
    assert "tfconv convert" in text


def test_what_is_missing_is_said_unless_it_lies_beside(cnn_file: Path, tmp_path: Path) -> None:
    model = keras.saving.load_model(cnn_file)
    weights, architecture = tmp_path / "m.weights.h5", tmp_path / "m.json"
    model.save_weights(weights)
    assert "architecture" in tfconv.inspect_model(weights).missing[0]
    architecture.write_text(model.to_json())
    assert tfconv.inspect_model(weights).missing == tfconv.inspect_model(architecture).missing == ()
    weights.unlink()
    assert "weights" in tfconv.inspect_model(architecture).missing[0]
    assert not tfconv.inspect_model(architecture).convertible


def test_a_checkpoint_is_known_with_and_without_its_graph(tmp_path: Path) -> None:
    with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
        tf.compat.v1.get_variable("w", (2, 3))
        session.run(tf.compat.v1.global_variables_initializer())
        prefix = Path(tf.compat.v1.train.Saver().save(session, str(tmp_path / "model.ckpt-7")))
    whole = tfconv.inspect_model(prefix)
    assert (whole.parameters, whole.missing) == (6, ())
    prefix.with_name("model.ckpt-7.meta").unlink()
    assert tfconv.inspect_model(prefix).missing == (
        "model.ckpt-7.meta: the graph; there are weights only",
    )
    assert "model.ckpt-7" in tfconv.inspect_model(tmp_path).detail


def test_a_refused_file_is_described_with_the_reason() -> None:
    info = tfconv.inspect_model(HOSTILE / "lambda_python312.h5")
    assert info.format == "keras_h5"
    assert "Lambda" in info.problems[0]
    assert "WriteFile" in str(tfconv.inspect_model(HOSTILE / "writefile_saved_model"))


def test_what_nobody_knows_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(ConversionError, match="no model that we know"):
        tfconv.inspect_model(tmp_path / "notes.txt")
