"""Which tensors of a training graph are its inputs and outputs, with nothing said."""

from __future__ import annotations

import pytest
import tensorflow as tf
from training_graphs import classify, dense, features, minimize, source_of, v1

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.graph.inference_graph import inference_graph
from mlflow_tfconv.sources.options import SourceOptions


def names(build, tmp_path, **options):
    """Names of inputs and outputs."""
    found = inference_graph(source_of(build, tmp_path), SourceOptions(**options))
    return [spec.name for spec in found.inputs], [spec.name for spec in found.outputs]


def test_a_classifier_gives_its_logits_when_it_has_nothing_else(tmp_path):
    assert names(lambda: classify(dense(features(), 3, "b")), tmp_path) == (["x"], ["b_BiasAdd"])


def test_probabilities_beside_the_loss_are_the_output_and_logits_are_told(tmp_path):
    def build():
        logits = tf.identity(dense(features(), 3, "b"), name="logits")
        tf.nn.softmax(logits, name="p")
        classify(logits)

    assert names(build, tmp_path) == (["x"], ["logits", "p"])


def test_a_decision_comes_with_its_scores(tmp_path):
    def build():
        logits = dense(features(), 3, "b")
        tf.argmax(logits, 1, name="classes")
        classify(logits)

    assert names(build, tmp_path)[1] == ["b_BiasAdd", "classes"]


def test_an_autoencoder_has_no_labels(tmp_path):
    def build():
        x = features()
        decoded = tf.sigmoid(dense(dense(x, 2, "encode"), 6, "decode"))
        minimize(tf.reduce_mean(tf.pow(x - decoded, 2)))

    assert names(build, tmp_path) == (["x"], ["Sigmoid"])


def test_a_regression_on_scalars_tells_example_from_label(tmp_path):
    def build():
        x, y = v1.placeholder("float", name="x"), v1.placeholder("float", name="y")
        line = x * v1.Variable(0.5) + v1.Variable(0.1)
        minimize(tf.reduce_sum(tf.pow(line - y, 2)) / 20)

    assert names(build, tmp_path) == (["x"], ["add"])


def test_values_of_actions_do_not_need_the_action(tmp_path):
    def build():
        values = dense(features(), 2, "q")
        action = v1.placeholder(tf.float32, [None, 2], "action")
        target = v1.placeholder(tf.float32, [None], "target")
        minimize(tf.reduce_mean(tf.square(target - tf.reduce_sum(values * action, 1))))

    assert names(build, tmp_path) == (["x"], ["q_BiasAdd"])


def test_labels_cut_from_the_same_input_make_no_output(tmp_path):
    def build():
        tokens = v1.placeholder(tf.int32, [None, 5], "tokens")
        table = v1.get_variable("table", [9, 4])
        logits = dense(tf.reshape(v1.nn.embedding_lookup(table, tokens[:, :-1]), [-1, 4]), 9, "o")
        labels = tf.reshape(tokens[:, 1:], [-1])
        entropy = v1.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
        minimize(tf.reduce_mean(entropy))

    assert names(build, tmp_path) == (["tokens"], ["o_BiasAdd"])


def test_sampled_losses_leave_the_embedding(tmp_path):
    def build():
        words = v1.placeholder(tf.int32, [None], "words")
        context = v1.placeholder(tf.int32, [None, 1], "context")
        embedded = v1.nn.embedding_lookup(v1.get_variable("table", [20, 4]), words)
        weights, biases = v1.get_variable("w", [20, 4]), v1.get_variable("b", [20])
        minimize(tf.reduce_mean(v1.nn.nce_loss(weights, biases, context, embedded, 3, 20)))

    assert names(build, tmp_path) == (["words"], ["embedding_lookup"])


def test_two_heads_are_two_outputs(tmp_path):
    def build():
        hidden = tf.nn.relu(dense(features(), 4, "a"))
        value = v1.placeholder(tf.float32, [None, 1], "value")
        classify(dense(hidden, 3, "kind"))
        minimize(tf.reduce_mean(tf.square(dense(hidden, 1, "size") - value)))

    assert names(build, tmp_path)[1] == ["kind_BiasAdd", "size_BiasAdd"]


def test_a_setting_with_a_default_keeps_it(tmp_path):
    def build():
        heat = v1.placeholder_with_default(2.0, [], "temperature")
        tf.nn.softmax(dense(features(), 3, "b") / heat, name="p")

    assert names(build, tmp_path) == (["x"], ["p"])


def test_of_equal_graphs_for_training_and_testing_the_one_for_testing_is_taken(tmp_path):
    def build():
        for name in ("Train", "Test"):
            with tf.name_scope(name):
                logits = dense(v1.placeholder(tf.float32, [None, 6], "in"), 3, "b")
        classify(logits)

    assert names(build, tmp_path) == (["Test_in"], ["Test_b_BiasAdd"])


def test_an_iterator_gives_the_input(tmp_path):
    def build():
        data = v1.data.Dataset.from_tensors((tf.zeros([4, 6]), tf.zeros([4], tf.int64)))
        x, y = v1.data.make_initializable_iterator(data).get_next()
        logits = dense(x, 3, "b")
        entropy = v1.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
        minimize(tf.reduce_mean(entropy))

    assert names(build, tmp_path) == (["IteratorGetNext"], ["b_BiasAdd"])


def test_examples_of_a_queue_of_files_are_cut_behind_their_decoding(tmp_path):
    def build():
        _, text = v1.TFRecordReader().read(v1.train.string_input_producer(["a"]))
        parsed = v1.parse_example(
            v1.train.batch([text], 8), {"x": v1.FixedLenFeature([6], tf.float32)}
        )
        dense(parsed["x"], 3, "b")

    inputs, outputs = names(build, tmp_path)
    assert inputs == ["ParseExample_ParseExampleV2"]
    assert outputs == ["b_BiasAdd"]


def test_any_tensors_can_be_inputs_and_outputs(tmp_path):
    def build():
        classify(dense(tf.nn.relu(dense(features(), 4, "a")), 3, "b"))

    given = {"inputs": {"hidden": "Relu"}, "outputs": {"scores": "b/BiasAdd:0"}}
    assert names(build, tmp_path, **given) == (["hidden"], ["scores"])


def test_a_tensor_that_is_not_there_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(ConversionError, match="no tensor 'b/BiasAd:0'") as caught:
        names(lambda: classify(dense(features(), 3, "b")), tmp_path, outputs={"y": "b/BiasAd"})
    assert "b/BiasAdd:0" in str(caught.value)


def test_inputs_that_do_not_suffice_are_refused_with_those_that_lack(tmp_path):
    def build():
        other = v1.placeholder(tf.float32, [None, 6], "other")
        tf.add(dense(features(), 3, "a"), dense(other, 3, "b"), name="y")

    with pytest.raises(ConversionError, match=r"other:0 \(float32 \[\?, 6\]\)"):
        names(build, tmp_path, inputs={"x": "x:0"}, outputs={"y": "y:0"})


def test_what_was_inferred_is_a_choice_with_the_argument_that_chooses(tmp_path):
    source = source_of(lambda: classify(dense(features(), 3, "b")), tmp_path)
    choices = {choice.what: choice for choice in inference_graph(source, SourceOptions()).choices}
    assert choices["outputs"].argument == "outputs"
    assert choices["inputs"].chosen == "x"


def test_what_a_generator_makes_is_an_output(tmp_path):
    def build():
        noise = v1.placeholder(tf.float32, [None, 4], "z")
        made = tf.tanh(dense(tf.nn.relu(dense(noise, 8, "g1")), 6, "g2"), name="made")
        real, fake = (dense(tf.nn.relu(dense(x, 8, "d1")), 1, "d2") for x in (features(), made))
        minimize(tf.reduce_mean(tf.nn.softplus(-real)) + tf.reduce_mean(tf.nn.softplus(fake)))

    inputs, outputs = names(build, tmp_path)
    assert sorted(inputs) == ["x", "z"]
    assert "made" in outputs


def test_of_towers_one_is_taken_with_its_part_of_the_batch(tmp_path):
    def build():
        parts = tf.split(features(), 2)
        for number in range(2):
            with tf.name_scope(f"tower_{number}"):
                logits = dense(parts[number], 3, "b")
        classify(logits)

    assert names(build, tmp_path) == (["split"], ["tower_0_b_BiasAdd"])
