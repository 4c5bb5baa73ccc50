"""Genuine old graphs: what is inferred of each, with no more help than a user could give."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.graph.graph_source import require_weights
from mlflow_tfconv.sources.graph.graph_source_from_checkpoint import graph_source_from_checkpoint
from mlflow_tfconv.sources.graph.graph_source_from_graph import graph_source_from_graph
from mlflow_tfconv.sources.graph.inference_graph import inference_graph
from mlflow_tfconv.sources.options import SourceOptions

FIXTURES = Path(__file__).parents[2] / "fixtures"
#: Case to its entry, and the inputs and outputs that belong to it.
CASES = {
    "k01_tf1_mlp_saver/model.ckpt-150": ("inputs_input_x", "output_logits output_y"),
    "k02_tf1_cnn_keepprob_adam/cnn.ckpt": ("x", "y_conv"),
    "k03_tf1_layers_bn_is_training/model.ckpt-80": ("x", "logits_BiasAdd prob"),
    "k04_tf1_slim_cifarnet/slim.ckpt-80": (
        "images",
        "CifarNet_logits_BiasAdd predictions_Reshape_1",
    ),
    "k05_tf1_queue_slice_producer/queue_model-60": ("batch", "net_logits prob"),
    "k06_tf1_one_shot_iterator/model.ckpt": ("IteratorGetNext", "fc3_BiasAdd classes"),
    "k07_tf1_dynamic_rnn_lstm/lstm.ckpt-60": ("tokens lengths", "rnn_transpose prob"),
    "k08_tf1_frozen_cnn/frozen_model.pb": ("input_image", "softmax_out label_out"),
    "k10_tf1_partitioned_fixed/part.ckpt": ("features", "scores"),
    "k11_tf012_checkpoint_v2/m.ckpt": ("x-input", "scores"),
    "k11_tf1_checkpoint_v1/old.ckpt-60": ("image", "fc_logits"),
    "k12_tf1_ema/model.ckpt-60": ("x-input", "layer2_y"),
    "k13_tf1_estimator_model_fn/model_dir/model.ckpt-60": (
        "random_shuffle_queue_DequeueMany_1",
        "ArgMax softmax_tensor",
    ),
    "k16_tflearn_cnn/cnn.tfl": ("input_X", "FullyConnected_1_Softmax"),
    "k18_tf1_cond/cond.ckpt": ("x", "prediction"),
    "k18_tf1_decode_jpeg_string_input/retrained.ckpt": ("DecodeJpeg_contents", "final_result"),
}


def source(entry, folder="legacy"):
    read = graph_source_from_graph if entry.endswith(".pb") else graph_source_from_checkpoint
    return read(FIXTURES / folder / entry, SourceOptions())


@pytest.mark.parametrize("entry", CASES)
def test_inputs_and_outputs_are_those_of_the_case(entry):
    found = inference_graph(source(entry), SourceOptions())
    inputs, outputs = CASES[entry]
    assert " ".join(spec.name for spec in found.inputs) == inputs
    assert " ".join(spec.name for spec in found.outputs) == outputs
    require_weights(source(entry), found.variables)


def test_training_data_in_the_graph_does_not_come_along():
    found = inference_graph(source("k05_tf1_queue_slice_producer/queue_model-60"), SourceOptions())
    assert found.graph.message().ByteSize() < 5_000
    assert found.inputs[0].shape == (16, 8, 8, 3)


def test_where_else_a_graph_that_decodes_can_be_cut_is_told():
    found = inference_graph(
        source("k18_tf1_decode_jpeg_string_input/retrained.ckpt"), SourceOptions()
    )
    choice = next(choice for choice in found.choices if choice.what == "inputs")
    assert choice.alternatives[0] == "DecodeJpeg:0 (uint8 [?, ?, 3])"
    assert choice.alternatives[-1].startswith("Mul:0")


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("c12_pyfunc_in_path/m.ckpt", "PyFunc can't be converted: node PyFunc"),
        ("c12_unknown_custom_op/m.ckpt", "LabPrivateActivation of node Elu is not registered"),
    ],
)
def test_what_can_not_be_computed_is_refused_with_its_node(entry, says):
    with pytest.raises(ConversionError, match=says):
        inference_graph(source(entry, "hostile"), SourceOptions())


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("c03_meta_missing_variable/m.ckpt", r"variable gate \(float32 \[8\]\)"),
        ("c03_meta_other_graph/cnn.ckpt", r"variable layer1/w1 \(float32 \[196, 64\]\)"),
    ],
)
def test_a_variable_without_a_value_is_named_with_its_shape(entry, says):
    read = source(entry, "hostile")
    with pytest.raises(ConversionError, match=says):
        require_weights(read, inference_graph(read, SourceOptions()).variables)
