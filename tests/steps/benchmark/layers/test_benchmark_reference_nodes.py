"""Nodes of the reference found under the names that other graphs give them."""

from __future__ import annotations

import pytest

from mlflow_tfconv.steps.benchmark.layers.reference_nodes import Place, ReferenceNodes
from mlflow_tfconv.steps.benchmark.worker.onnx_nodes import GraphNode, NodeGraph

_NODES = ReferenceNodes(
    NodeGraph(
        (
            GraphNode("shape", "Add", ("k", "k"), ("two",)),
            GraphNode("conv_1", "Conv", ("x", "w"), ("conv_1:0",)),
            GraphNode("conv_1_relu", "Relu", ("conv_1:0",), ("act:0",)),
            GraphNode("", "Reshape", ("act:0", "two"), ("y",)),
        ),
        frozenset({"w", "k"}),
        ("y",),
    )
)


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        ("act:0", Place(2, exact=True)),
        ("act:0_QuantizeLinear_Output", Place(2, exact=True)),
        ("InsertedPrecisionFreeCast_conv_1:0", Place(1, exact=True)),
        ("conv_1", Place(1, exact=False)),  # a layout pass named the tensor as the node
        ("x", Place(1, exact=False)),
        ("w_quantized", Place(1, exact=False)),
        ("reorder_token_3", None),
        ("conv_12:0", None),
        ("", None),
    ],
)
def test_a_tensor_leads_to_the_node_that_makes_it(tensor: str, expected: Place | None) -> None:
    assert _NODES.holding(tensor, {}) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("conv_1", Place(1, exact=False)),
        ("conv_1_relu", Place(2, exact=False)),
        ("conv_1_token_17", Place(1, exact=False)),
        ("conv_1_quant", Place(1, exact=False)),
        ("conv_1/MatMulAddFusion/", Place(1, exact=False)),
        ("fused conv_1", Place(1, exact=False)),
        ("InsertedPrecisionFreeCast_act:0_nchwc", Place(2, exact=True)),
        ("ReorderOutput_token_9", None),
        ("conv", None),
    ],
)
def test_a_node_is_known_by_its_name_with_what_was_added(name: str, expected: Place | None) -> None:
    assert _NODES.named(name) == expected


def test_conversions_in_the_variants_file_are_followed_to_what_they_convert() -> None:
    made_by = {
        "b": GraphNode("q", "QuantizeLinear", ("act:0",), ("b",)),
        "c": GraphNode("dq", "DequantizeLinear", ("b",), ("c",)),
        "round": GraphNode("r", "Cast", ("round",), ("round",)),
        "new": GraphNode("conv_1", "Conv", ("c",), ("new",)),
        "strange": GraphNode("other", "Conv", ("c",), ("strange",)),
    }
    assert _NODES.holding("c", made_by) == Place(2, exact=True)
    assert _NODES.holding("new", made_by) == Place(1, exact=True)
    assert _NODES.holding("strange", made_by) is None
    assert _NODES.holding("round", made_by) is None


def test_nodes_that_depend_on_no_input_are_constant() -> None:
    assert _NODES.constant == {0}
    assert _NODES.before(3) == [0, 2]
    assert _NODES.behind(1) == [2]
