from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from saver_checkpoints import BIAS, KERNEL, dense_graph, saved, v1

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.graph.graph_source_from_folder import graph_source_from_folder
from mlflow_tfconv.sources.graph.graph_source_from_graph import graph_source_from_graph
from mlflow_tfconv.sources.graph.graph_source_from_saved_model import graph_source_from_saved_model
from mlflow_tfconv.sources.options import SourceOptions

FIXTURES = Path(__file__).parents[2] / "fixtures"
ESTIMATOR = FIXTURES / "legacy" / "k13_tf1_estimator_model_fn"
NOTHING_SAID = SourceOptions()


def exported(folder, *tag_sets, assets=None):
    """A SavedModel of TensorFlow 1 with a MetaGraph for each set of tags."""
    builder = v1.saved_model.Builder(str(folder))
    for number, tags in enumerate(tag_sets):
        with tf.Graph().as_default(), v1.Session() as session:
            dense_graph(resource=bool(number))
            tensor = v1.get_default_graph().get_tensor_by_name
            if assets:
                file = tf.constant(str(assets), name="vocabulary")
                v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, file)
            signature = v1.saved_model.predict_signature_def(
                {"a": tensor("x:0")}, {"b": tensor("y:0")}
            )
            session.run(v1.global_variables_initializer())
            given = {"signature_def_map": {f"call_{number}": signature}}
            if number:
                builder.add_meta_graph(tags, **given)
            else:
                collection = v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS)
                builder.add_meta_graph_and_variables(
                    session, tags, assets_collection=collection, main_op=tf.no_op("fill"), **given
                )
    builder.save()
    return folder


def values(source):
    return {name: weight.read() for name, weight in source.weights.items()}


@pytest.mark.parametrize("entry", ["sm", "sm/saved_model.pb"])
def test_a_saved_model_gives_graph_weights_and_signatures(entry, tmp_path):
    exported(tmp_path / "sm", ["serve"])
    source = graph_source_from_saved_model(tmp_path / entry, NOTHING_SAID)
    np.testing.assert_array_equal(values(source)["layer/kernel"], KERNEL)
    np.testing.assert_array_equal(values(source)["layer/bias"], BIAS)
    assert source.signatures["call_0"].outputs == {"b": "y:0"}
    assert source.init_ops == ("fill",)


def test_of_several_metagraphs_the_one_to_serve_is_taken(tmp_path):
    exported(tmp_path / "sm", ["train"], ["serve"], ["serve", "gpu"])
    source = graph_source_from_saved_model(tmp_path / "sm", NOTHING_SAID)
    assert set(source.signatures) == {"call_1"}
    assert source.choices[0].chosen == "{serve}"
    assert source.choices[0].argument == "tags"


def test_tags_choose_a_metagraph(tmp_path):
    exported(tmp_path / "sm", ["serve"], ["prod", "gpu"])
    options = SourceOptions(tags=frozenset({"gpu", "prod"}))
    source = graph_source_from_saved_model(tmp_path / "sm", options)
    assert set(source.signatures) == {"call_1"}
    assert values(source)["layer/kernel"].shape == (4, 3)


@pytest.mark.parametrize("tags", [None, frozenset({"serve"}), frozenset({"a"})])
def test_tags_that_choose_nothing_are_answered_with_all(tags, tmp_path):
    exported(tmp_path / "sm", ["a", "b"], ["c"])
    with pytest.raises(ConversionError, match=r"\{a, b\}; \{c\}"):
        graph_source_from_saved_model(tmp_path / "sm", SourceOptions(tags=tags))


def test_assets_are_found_and_missing_ones_told(tmp_path):
    (tmp_path / "words.txt").write_text("a\n")
    exported(tmp_path / "sm", ["serve"], assets=tmp_path / "words.txt")
    source = graph_source_from_saved_model(tmp_path / "sm", NOTHING_SAID)
    assert source.assets == {"vocabulary:0": tmp_path / "sm" / "assets" / "words.txt"}
    shutil.rmtree(tmp_path / "sm" / "assets")
    source = graph_source_from_saved_model(tmp_path / "sm", NOTHING_SAID)
    assert "words.txt is missing" in source.warnings[0]


def test_assets_outside_the_folder_are_refused(tmp_path):
    (tmp_path / "words.txt").write_text("a\n")
    exported(tmp_path / "sm", ["serve"], assets=tmp_path / "words.txt")
    file = tmp_path / "sm" / "saved_model.pb"
    file.write_bytes(file.read_bytes().replace(b"\x12\x09words.txt", b"\x12\x09../../abc"))
    with pytest.raises(ConversionError, match="outside its folder"):
        graph_source_from_saved_model(tmp_path / "sm", NOTHING_SAID)


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("c07_savedmodel_no_data", r"variables.data-00000-of-00001"),
        ("c07_savedmodel_no_pb", r"no saved_model.pb"),
        ("c07_savedmodel_no_variables", r"variables/ of this SavedModel is missing"),
    ],
)
def test_missing_parts_of_a_saved_model_are_named(case, says):
    with pytest.raises(ConversionError, match=says):
        graph_source_from_saved_model(FIXTURES / "hostile" / case / "export", NOTHING_SAID)


def test_of_several_exports_the_newest_is_taken(tmp_path):
    for time in ("1530000000", "999999999"):
        exported(tmp_path / time, ["serve"])
    source = graph_source_from_saved_model(tmp_path, NOTHING_SAID)
    assert source.choices[0].chosen == "1530000000"
    assert source.choices[0].alternatives == ("999999999",)


@pytest.fixture
def model_dir(tmp_path):
    shutil.copytree(ESTIMATOR / "model_dir", tmp_path / "model_dir")
    shutil.copytree(ESTIMATOR / "export", tmp_path / "model_dir" / "export" / "best")
    return tmp_path / "model_dir"


def test_an_export_goes_before_the_checkpoint_it_was_made_from(model_dir):
    source = graph_source_from_folder(model_dir, NOTHING_SAID)
    assert source.source_format == "saved_model"
    assert source.choices[0].chosen == "export/best/1530000000"
    assert source.choices[0].alternatives == ("model.ckpt-60",)
    assert not source.warnings


def test_an_export_of_another_step_is_told(model_dir):
    saved(model_dir / "model.ckpt", step=90)
    (warning,) = graph_source_from_folder(model_dir, NOTHING_SAID).warnings
    assert warning == "The export is of step 60, the checkpoint model.ckpt-90 is another."


@pytest.mark.parametrize("place", ["saved_model", "export/1"])
def test_a_saved_model_of_another_kind_does_not_go_before_checkpoints(place, tmp_path):
    saved(tmp_path / "m")
    if place == "export/1":
        tf.saved_model.save(tf.Module(), str(tmp_path / place))
    else:
        exported(tmp_path / place, ["serve"])
    assert graph_source_from_folder(tmp_path, NOTHING_SAID).source_format == "tf_checkpoint"


def test_who_names_the_graph_gets_the_checkpoint(model_dir):
    options = SourceOptions(architecture=model_dir / "graph.pbtxt")
    source = graph_source_from_folder(model_dir, options)
    assert source.checkpoint.prefix.name == "model.ckpt-60"
    assert len(source.weights) == 23


def test_a_folder_of_checkpoints_gives_the_newest(tmp_path):
    for step in (1, 2):
        saved(tmp_path / "m", step=step)
    for entry in (tmp_path, tmp_path / "checkpoint"):
        source = graph_source_from_folder(entry, NOTHING_SAID)
        assert source.checkpoint.prefix.name == "m-2"
        assert source.choices[0].alternatives == ("m-1",)


def test_a_graph_with_variables_finds_the_checkpoint_beside_it():
    source = graph_source_from_graph(ESTIMATOR / "model_dir" / "graph.pbtxt", NOTHING_SAID)
    assert len(source.weights) == 23
    assert source.choices[0].chosen == "model.ckpt-60"
