"""Which line of TensorFlow's messages says what went wrong."""

from __future__ import annotations

from mlflow_tfconv.steps.train.failures import first_reason

OF_A_GRAPH = """Graph execution error:

Detected at node loss/SparseSoftmaxCrossEntropyWithLogits defined at (most recent call last):
  File "nn.py", line 1438, in sparse_categorical_crossentropy

Received a label value of 1 which is outside the valid range of [0, 1).  Label values: 0 1
\t [[{{node loss/Sparse}}]] [Op:__inference_multi_step_on_iterator_568]"""


def test_the_reason_of_a_graphs_failure_stands_below_its_places() -> None:
    assert first_reason(OF_A_GRAPH) == (
        "Received a label value of 1 which is outside the valid range of [0, 1).  Label values: 0 1"
    )


def test_names_of_operations_are_cut_out_of_the_reason() -> None:
    message = "{{function_node __wrapped__Reshape}} Input has 3 values [Op:Reshape] name: "
    assert first_reason(message) == "Input has 3 values"


def test_a_reason_that_lists_a_whole_batch_is_cut() -> None:
    assert len(first_reason("Label values: " + "1 " * 9999)) < 400


def test_a_message_of_places_only_gives_no_reason() -> None:
    assert first_reason("Graph execution error:\n\n") == "no reason was given"
