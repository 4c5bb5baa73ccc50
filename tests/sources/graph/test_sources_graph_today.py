from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import op_def_pb2

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.graph.graph_def_of_today import graph_def_of_today
from mlflow_tfconv.sources.graph.graph_file import graph_file
from mlflow_tfconv.sources.graph.ops_of_today import RENAMED, RENAMED_WITH_HANDLE, definition
from mlflow_tfconv.sources.graph.rewritten_ops import REWRITTEN

FIXTURES = Path(__file__).parents[2] / "fixtures"
v1 = tf.compat.v1


class Written:
    """A GraphDef that is written node by node."""

    def __init__(self):
        self.graph_def = v1.GraphDef()

    def node(self, name, op, *inputs, **attributes):
        node = self.graph_def.node.add(name=name, op=op, input=inputs)
        for key, value in attributes.items():
            attribute = node.attr[key]
            if isinstance(value, bool):
                attribute.b = value
            elif isinstance(value, tf.DType):
                attribute.type = value.as_datatype_enum
            elif isinstance(value, int):
                attribute.i = value
            elif isinstance(value, float):
                attribute.f = value
            else:
                attribute.tensor.CopyFrom(tf.make_tensor_proto(value))
                node.attr["dtype"].type = attribute.tensor.dtype
        return self

    def constant(self, name, value):
        return self.node(name, "Const", value=value)

    def input(self, name="x"):
        return self.node(name, "Placeholder", dtype=tf.float32)

    def run(self, *outputs, **inputs):
        """Runs it as a function, where old operations are not allowed any more."""
        today = graph_def_of_today(self.graph_def)
        whole = v1.wrap_function(lambda: tf.import_graph_def(today, name=""), [])
        tensor = whole.graph.get_tensor_by_name
        function = whole.prune([tensor(f"{name}:0") for name in inputs], list(map(tensor, outputs)))
        return [value.numpy() for value in function(*map(tf.constant, inputs.values()))]


@pytest.mark.parametrize("scaled", [True, False])
def test_global_batch_norm_is_computed_by_simple_operations(scaled):
    x = np.arange(8, dtype=np.float32).reshape(2, 2, 1, 2)
    graph = Written().input()
    for name, value in {"m": [1, 2], "v": [1, 4], "beta": [0.5, 0], "gamma": [2, 3]}.items():
        graph.constant(name, np.float32(value))
    op = "BatchNormWithGlobalNormalization"
    given = {"T": tf.float32, "variance_epsilon": 1e-3, "scale_after_normalization": scaled}
    graph.node("y", op, "x", "m", "v", "beta", "gamma", **given)
    (y,) = graph.run("y:0", x=x)
    factor = np.array([2, 3]) if scaled else 1
    expected = (x - [1, 2]) / np.sqrt(np.array([1, 4]) + 1e-3) * factor + [0.5, 0]
    np.testing.assert_allclose(y, expected, rtol=1e-5)


@pytest.mark.parametrize("version", ["", "V2"])
def test_a_tensor_array_whose_handle_was_a_string_works(version):
    graph = Written().input().constant("n", np.int32(3)).constant("flow", np.float32(0))
    graph.constant("i", np.arange(3, dtype=np.int32))
    graph.node("array", f"TensorArray{version}", "n", dtype=tf.float32)
    passing = "RefIdentity" if not version else "Identity"
    graph.node("handle", passing, "array", T=tf.string)
    scatter, gather = f"TensorArrayScatter{version}", f"TensorArrayGather{version}"
    graph.node("filled", scatter, "handle", "i", "x", "flow", T=tf.float32)
    graph.node("y", gather, "handle", "i", "filled", dtype=tf.float32)
    x = np.array([[1], [2], [3]], np.float32)
    np.testing.assert_array_equal(graph.run("y:0", x=x)[0], x)


def test_the_oldest_tensor_arrays_pack_and_unpack():
    graph = Written().input().constant("n", np.int32(3)).constant("flow", np.float32(0))
    graph.node("array", "TensorArray", "n", dtype=tf.float32)
    graph.node("filled", "TensorArrayUnpack", "array", "x", "flow", T=tf.float32)
    graph.node("y", "TensorArrayPack", "array", "filled", dtype=tf.float32)
    x = np.array([[1], [2], [3]], np.float32)
    np.testing.assert_array_equal(graph.run("y:0", x=x)[0], x)


def test_top_k_with_the_number_as_an_attribute():
    graph = Written().input().node("y", "TopK", "x", k=2, T=tf.float32)
    best, places = graph.run("y:0", "y:1", x=np.array([[1, 3, 2]], np.float32))
    assert best.tolist() == [[3, 2]]
    assert places.tolist() == [[1, 2]]


@pytest.mark.parametrize(("old", "new"), {**RENAMED, **RENAMED_WITH_HANDLE}.items())
def test_what_is_renamed_has_the_same_inputs_and_no_attribute_more(old, new):
    before, after = definition(old), definition(new)
    assert [arg.name for arg in before.input_arg] == [arg.name for arg in after.input_arg]
    assert {attr.name for attr in before.attr} <= {attr.name for attr in after.attr}


def test_what_replaces_old_operations_is_known_and_not_old_itself():
    new = [*RENAMED.values(), *RENAMED_WITH_HANDLE.values()]
    assert not any(definition(op).deprecation.version for op in new)
    assert all(definition(op) is not None for op in REWRITTEN)


def test_unknown_operations_are_named_with_their_nodes():
    meta = FIXTURES / "hostile" / "c12_unknown_custom_op" / "m.ckpt.meta"
    with pytest.raises(ConversionError, match=r"LabPrivateActivation \(node \w+"):
        graph_def_of_today(graph_file(meta).graph_def)


def test_an_operation_that_only_old_graphs_may_use_is_named():
    graph = Written().input().node("old", "RandomCrop", "x", "x", T=tf.float32)
    with pytest.raises(ConversionError, match=r"RandomCrop \(node old\)"):
        graph_def_of_today(graph.graph_def)


def test_hints_that_an_importer_stumbles_over_are_dropped():
    meta = FIXTURES / "legacy" / "k07_tf1_dynamic_rnn_lstm" / "lstm.ckpt-60.meta"
    graph_def = graph_file(meta).graph_def
    before = graph_def.SerializeToString(deterministic=True)
    today = graph_def_of_today(graph_def)
    assert not any(node.device or "_output_shapes" in node.attr for node in today.node)
    assert graph_def.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize(("value", "is_dropped"), [(False, True), (True, False)])
def test_an_unknown_attribute_is_dropped_when_it_changes_nothing(value, is_dropped):
    graph = Written().input().node("y", "Relu", "x", T=tf.float32, future=value)
    if is_dropped:
        assert "future" not in graph_def_of_today(graph.graph_def).node[1].attr
    else:
        with pytest.raises(ConversionError, match=r"Node y \(Relu\) has an attribute.*future"):
            graph_def_of_today(graph.graph_def)


@pytest.mark.parametrize(("default", "is_dropped"), [(True, True), (False, False)])
def test_the_graphs_own_tensorflow_tells_an_attributes_default(default, is_dropped):
    graph = Written().input().node("y", "Relu", "x", T=tf.float32, future=True)
    relu = op_def_pb2.OpDef(name="Relu")
    relu.attr.add(name="future", type="bool").default_value.b = default
    meta = v1.MetaGraphDef()
    meta.meta_info_def.stripped_op_list.op.append(relu)
    if is_dropped:
        assert "future" not in graph_def_of_today(graph.graph_def, meta).node[1].attr
    else:
        with pytest.raises(ConversionError, match="future"):
            graph_def_of_today(graph.graph_def, meta)


@pytest.mark.parametrize(("producer", "is_open"), [(21, True), (24, False)])
def test_placeholders_of_old_graphs_have_no_shape_where_it_looks_like_a_scalar(producer, is_open):
    graph = Written().input().graph_def
    graph.node[0].attr["shape"].shape.SetInParent()
    graph.versions.producer = producer
    today = graph_def_of_today(graph)
    assert today.node[0].attr["shape"].shape.unknown_rank == is_open
