from __future__ import annotations

from pathlib import Path

import pytest
import tensorflow as tf
from google.protobuf import text_format
from saver_checkpoints import saved, saved_v1, v1

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.graph import graph_text
from mlflow_tfconv.sources.graph.graph_file import graph_file
from mlflow_tfconv.sources.graph.graph_source_from_checkpoint import graph_source_from_checkpoint
from mlflow_tfconv.sources.graph.graph_source_from_graph import graph_source_from_graph
from mlflow_tfconv.sources.options import SourceOptions

FIXTURES = Path(__file__).parents[2] / "fixtures"
NOTHING_SAID = SourceOptions()


def written(path, message):
    path.write_text(text_format.MessageToString(message))
    return path


def test_a_graph_is_the_same_in_every_form(tmp_path):
    saved(tmp_path / "m")
    meta = graph_file(tmp_path / "m.meta")
    (tmp_path / "g.pb").write_bytes(meta.graph_def.SerializeToString())
    for path in (
        written(tmp_path / "g.pbtxt", meta.graph_def),
        written(tmp_path / "m.pbtxt", meta.meta),
        tmp_path / "g.pb",
    ):
        assert graph_file(path).graph_def == meta.graph_def


@pytest.mark.parametrize("what", ["graph_def", "meta"])
def test_a_big_text_is_read_by_tensorflow_and_is_the_same(what, tmp_path, monkeypatch):
    monkeypatch.setattr(graph_text, "_BIG", 0)
    whole = graph_file(FIXTURES / "legacy" / "k06_tf1_one_shot_iterator" / "model.ckpt.meta")
    assert graph_file(written(tmp_path / "g.pbtxt", getattr(whole, what))).graph_def == (
        whole.graph_def
    )


def test_a_cut_meta_is_damaged_wherever_it_is_cut(tmp_path):
    saved(tmp_path / "m")
    whole = (tmp_path / "m.meta").read_bytes()
    nodes = graph_file(tmp_path / "m.meta").graph_def.node
    for length in range(0, len(whole), 7):
        (tmp_path / "m.meta").write_bytes(whole[:length])
        try:
            assert graph_file(tmp_path / "m.meta").graph_def.node == nodes
        except ConversionError as error:
            assert "The .meta file is damaged" in str(error)  # noqa: PT017 (both ends are right)


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("c01_truncated_meta/cnn.ckpt.meta", "The .meta file is damaged"),
        ("c07_frozen_truncated/frozen_model.pb", "not a whole GraphDef"),
    ],
)
def test_cut_files_are_told(case, says):
    with pytest.raises(ConversionError, match=says):
        graph_file(FIXTURES / "hostile" / case)


def test_a_graph_cut_between_nodes_misses_what_others_take(tmp_path):
    graph = graph_file(FIXTURES / "legacy" / "k08_tf1_frozen_cnn" / "frozen_model.pb").graph_def
    del graph.node[3]
    (tmp_path / "g.pb").write_bytes(graph.SerializeToString())
    with pytest.raises(ConversionError, match="which is not in it"):
        graph_file(tmp_path / "g.pb")


def test_the_format_says_whether_it_is_text(tmp_path):
    graph = graph_file(FIXTURES / "legacy" / "k08_tf1_frozen_cnn" / "frozen_model.pb").graph_def
    source = graph_source_from_graph(written(tmp_path / "g.pbtxt", graph), NOTHING_SAID)
    assert source.source_format == "graph_text"


@pytest.mark.parametrize("content", [b"", b"node {", b"hello: world", b"\x00\x01", b"\xff" * 64])
def test_what_is_no_graph_is_refused(content, tmp_path):
    (tmp_path / "g.pb").write_bytes(content)
    with pytest.raises(ConversionError, match="damaged or cut off"):
        graph_file(tmp_path / "g.pb")


def test_deeply_nested_text_is_refused(tmp_path):
    (tmp_path / "g.pbtxt").write_text("node { attr { value { list { func { " * 2000)
    with pytest.raises(ConversionError, match="damaged or cut off"):
        graph_file(tmp_path / "g.pbtxt")


def test_a_frozen_graph_needs_no_checkpoint():
    place = FIXTURES / "legacy" / "k08_tf1_frozen_cnn" / "frozen_model.pb"
    source = graph_source_from_graph(place, NOTHING_SAID)
    assert len(source.graph_def.node) == 58
    assert source.checkpoint is None
    assert not source.weights


@pytest.mark.parametrize("name", ["m.meta", "g.pb"])
def test_a_frozen_metagraph_needs_none_either(name, tmp_path):
    with tf.Graph().as_default():
        tf.identity(tf.constant(1.0), name="y")
        v1.train.export_meta_graph(str(tmp_path / name))
    for read in (graph_source_from_checkpoint, graph_source_from_graph):
        source = read(tmp_path / name, NOTHING_SAID)
        assert (source.source_format, source.weights) == ("graph_def", {})
        assert source.meta is not None


def test_weights_without_a_graph_say_how_to_give_one():
    place = FIXTURES / "hostile" / "c02_missing_meta" / "cnn.ckpt"
    with pytest.raises(ConversionError, match=r"cnn.ckpt.meta is missing.*\n[\s\S]*architecture="):
        graph_source_from_checkpoint(place, NOTHING_SAID)


def test_a_graph_without_weights_says_how_to_give_them(tmp_path):
    saved(tmp_path / "m")
    for file in (tmp_path / "m.index", tmp_path / "m.data-00000-of-00001"):
        file.unlink()
    for read in (graph_source_from_checkpoint, graph_source_from_graph):
        with pytest.raises(ConversionError, match=r"graph without weights[\s\S]*weights="):
            read(tmp_path / "m.meta", NOTHING_SAID)


@pytest.mark.parametrize("name", ["graph.pbtxt", "graph.pb", "eval.pbtxt"])
def test_another_graph_beside_the_checkpoint_is_taken_and_said(name, tmp_path):
    saved(tmp_path / "m")
    graph = graph_file(tmp_path / "m.meta").graph_def
    (tmp_path / "m.meta").unlink()
    tf.io.write_graph(graph, str(tmp_path), name, as_text=name.endswith("txt"))
    source = graph_source_from_checkpoint(tmp_path / "m", NOTHING_SAID)
    assert set(source.weights) == {"layer/kernel", "layer/bias"}
    assert source.choices[0].chosen == name


def test_the_graph_of_another_step_serves(tmp_path):
    saved(tmp_path / "m", step=1)
    saved(tmp_path / "m", step=2)
    (tmp_path / "m-2.meta").unlink()
    source = graph_source_from_checkpoint(tmp_path / "m-2", NOTHING_SAID)
    assert source.checkpoint.prefix.name == "m-2"
    assert source.choices[0].chosen == "m-1.meta"


def test_graph_and_weights_may_lie_apart(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        saved_v1(tmp_path / folder / "m")
    (tmp_path / "a" / "m.meta").rename(tmp_path / "graph.meta")
    named = SourceOptions(architecture=tmp_path / "graph.meta")
    assert graph_source_from_checkpoint(tmp_path / "a" / "m", named).weights
    named = SourceOptions(weights=tmp_path / "b" / "m")
    for read in (graph_source_from_graph, graph_source_from_checkpoint):
        source = read(tmp_path / "graph.meta", named)
        assert source.checkpoint.prefix == tmp_path / "b" / "m"


def test_weights_of_another_checkpoint_go_into_the_graph_that_was_named(tmp_path):
    for name in ("m", "n"):
        saved(tmp_path / name)
    for named in ("m", "m.meta"):
        options = SourceOptions(weights=tmp_path / "n")
        source = graph_source_from_checkpoint(tmp_path / named, options)
        assert source.checkpoint.prefix.name == "n"


def test_a_checkpoint_of_objects_asks_for_the_architecture(tmp_path):
    path = tf.train.Checkpoint(v=tf.Variable([1.0])).save(tmp_path / "m")
    with pytest.raises(ConversionError, match="checkpoint of TensorFlow 2 objects"):
        graph_source_from_checkpoint(Path(path), NOTHING_SAID)


def test_signatures_of_a_metagraph_are_given(tmp_path):
    saved(tmp_path / "m")
    meta = graph_file(tmp_path / "m.meta").meta
    with tf.Graph().as_default():
        tf.import_graph_def(meta.graph_def, name="")
        tensor = v1.get_default_graph().get_tensor_by_name
        signature = v1.saved_model.predict_signature_def({"a": tensor("x:0")}, {"b": tensor("y:0")})
    meta.signature_def["s"].CopyFrom(signature)
    (tmp_path / "m.meta").write_bytes(meta.SerializeToString())
    found = graph_source_from_checkpoint(tmp_path / "m", NOTHING_SAID).signatures["s"]
    assert (found.inputs, found.outputs) == ({"a": "x:0"}, {"b": "y:0"})
