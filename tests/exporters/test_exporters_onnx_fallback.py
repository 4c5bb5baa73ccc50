"""What happens when a model can't be converted in the lean way, or not at all."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from onnx import numpy_helper
from tensorflow.python.eager import context, execute
from tensorflow.python.framework import convert_to_constants
from tensorflow.python.grappler import tf_optimizer
from tf2onnx import graph as graph_module
from tf2onnx import optimizer, tf_loader, tfonnx, utils
from tf2onnx.optimizer.transpose_optimizer import TransposeOptimizer

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.exporters import onnx_from_traced as module
from mlflow_tfconv.exporters.frozen_graph import NotLeanError
from mlflow_tfconv.exporters.held_tensors import HeldTensors, held_tensors_used
from mlflow_tfconv.exporters.onnx_from_traced import onnx_from_traced
from mlflow_tfconv.exporters.trace_function import trace_function
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.runtimes.runtime import open_runtime

X = np.ones((2, 4), dtype=np.float32)


def traced(call: Callable[[Any], Any]) -> Traced:
    specs = (TensorSpec(name="x", dtype="float32", shape=(None, 4)),)
    function = trace_function(lambda tensors: {"y": call(tensors["x"])}, specs)
    dtype = function.structured_outputs["y"].dtype.name
    return Traced(
        function=function,
        module=None,
        inputs=specs,
        outputs=(TensorSpec(name="y", dtype=dtype, shape=(None, 4)),),
        open_reference=lambda: pytest.fail("the source is not asked"),
        parameters=0,
    )


def not_lean(*_: Any, **__: Any) -> Any:
    raise NotLeanError("it has something in it")


def test_plain_tf2onnx_takes_over_and_the_result_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "lean_model", not_lean)
    (warning,) = onnx_from_traced(traced(lambda x: x + 1), tmp_path / "model.onnx", opset=17)
    assert "plain tf2onnx" in warning
    assert "it has something in it" in warning
    with open_runtime(tmp_path / "model.onnx") as runtime:
        np.testing.assert_array_equal(runtime.predict({"x": X})["y"], X + 1)


def test_weights_too_large_for_the_plain_way_are_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weight = tf.Variable(tf.eye(4))
    monkeypatch.setattr(module, "lean_model", not_lean)
    monkeypatch.setattr(module, "MOST_FILE_BYTES", 60)
    with pytest.raises(ConversionError, match="too large") as caught:
        onnx_from_traced(traced(lambda x: x @ weight), tmp_path / "model.onnx", opset=17)
    assert "it has something in it" in str(caught.value)


def test_an_operation_that_onnx_lacks_is_named_with_its_node(tmp_path: Path) -> None:
    def python(x: Any) -> Any:
        y = tf.numpy_function(np.sin, [x], tf.float32, name="own_sine")
        return tf.ensure_shape(y, (None, 4))

    with pytest.raises(ConversionError, match="can't be converted to ONNX") as caught:
        onnx_from_traced(traced(python), tmp_path / "model.onnx", opset=17)
    assert "own_sine" in str(caught.value.received)
    assert "PyFunc" in str(caught.value.received)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("opset", [12, 19])
def test_an_opset_that_is_not_written_is_refused(opset: int, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="operator set") as caught:
        onnx_from_traced(traced(lambda x: x), tmp_path / "model.onnx", opset=opset)
    assert caught.value.expected == "13 to 18"


def test_a_model_that_changes_its_variables_is_refused(tmp_path: Path) -> None:
    count = tf.Variable(0.0)

    def counted(x: Any) -> Any:
        return x + count.assign_add(1.0)

    with pytest.raises(ConversionError, match="changes its own variables") as caught:
        onnx_from_traced(traced(counted), tmp_path / "model.onnx", opset=17)
    assert "AssignAddVariableOp" in str(caught.value.received)


def test_a_table_is_named(tmp_path: Path) -> None:
    pairs = tf.lookup.KeyValueTensorInitializer(tf.constant([1, 2]), tf.constant([5, 6]))
    table = tf.lookup.StaticHashTable(pairs, -1)

    def looked_up(x: Any) -> Any:
        return tf.cast(table.lookup(tf.cast(x, tf.int32)), tf.float32)

    with pytest.raises(ConversionError, match="can't be converted to ONNX") as caught:
        onnx_from_traced(traced(looked_up), tmp_path / "model.onnx", opset=17)
    assert "LookupTableFindV2" in str(caught.value.received)


def test_strings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="'y' is of type string"):
        onnx_from_traced(traced(tf.strings.as_string), tmp_path / "model.onnx", opset=17)


def test_tf2onnx_is_as_it_was_after_a_conversion(tmp_path: Path) -> None:
    before = numpy_helper.from_array, graph_module.numpy_helper, graph_module.Node.update_proto
    onnx_from_traced(traced(lambda x: x @ tf.eye(4)), tmp_path / "model.onnx", opset=17)
    with held_tensors_used(HeldTensors(1)):
        assert graph_module.numpy_helper is not numpy_helper
    after = numpy_helper.from_array, graph_module.numpy_helper, graph_module.Node.update_proto
    assert before == after


#: Functions without a public API that the lean way calls, and their parameters.
RELIED_ON: dict[Callable[..., Any], list[str]] = {
    convert_to_constants._replace_variables_by_constants: ["converter_data"],
    convert_to_constants._ConverterData.__init__: ["self", "graph_def"],
    convert_to_constants.disable_lower_using_switch_merge: ["graph_def"],
    tf_optimizer.OptimizeGraph: ["config_proto", "metagraph"],
    execute.execute: ["op_name", "num_outputs", "inputs", "attrs", "ctx"],
    context.eager_mode: [],
    tf_loader.tf_optimize: ["input_names", "output_names", "graph_def"],
    tf_loader.fix_freezing_errors_part2: ["graph_def"],
    tf_loader.clear_functions: [],
    tfonnx.graphs_from_tf: ["tf_graph", "input_names", "output_names"],
    tfonnx.process_graphs: ["main_g", "subgraphs", "custom_op_handlers", "inputs_as_nchw"],
    optimizer.optimize_graph: ["graph", "catch_errors"],
    utils.make_name: ["name"],
    graph_module.Graph.set_config: ["self", "target", "opset"],
    graph_module.Graph.make_const: ["self", "name", "np_val"],
    graph_module.Graph.replace_all_inputs: ["self", "old_input", "new_input"],
    graph_module.Graph.delete_unused_nodes: ["self", "outputs_name"],
    graph_module.Graph.extract_sub_graph_nodes: ["self", "outputs_name"],
    graph_module.Graph.find_output_consumers: ["self", "output_name"],
    graph_module.Node.update_proto: ["self"],
    TransposeOptimizer._add_handler: ["self", "trans", "node"],
    TransposeOptimizer._handle_node_having_branches: ["self", "trans", "node"],
}


@pytest.mark.parametrize("function", RELIED_ON, ids=lambda function: function.__qualname__)
def test_what_has_no_public_api_is_still_there(function: Callable[..., Any]) -> None:
    parameters = list(inspect.signature(function).parameters)
    wanted = RELIED_ON[function]
    assert parameters[: len(wanted)] == wanted, (
        f"{function.__module__}.{function.__qualname__} takes {parameters}; the lean way to ONNX "
        f"calls it with {wanted}"
    )


def test_freezing_still_takes_values_by_the_names_of_captures() -> None:
    fields = convert_to_constants._TensorData._fields
    assert fields == ("numpy", "dtype", "index")
    data = convert_to_constants._ConverterData(tf.compat.v1.GraphDef())
    assert data._tensor_data == {}
    assert hasattr(data, "node_defs")


@pytest.mark.parametrize(
    "name",
    ["graph", "tf_utils", "optimizer.einsum_optimizer"],
)
def test_tf2onnx_still_makes_and_reads_tensors_with_onnx_numpy_helper(name: str) -> None:
    place: Any = __import__(f"tf2onnx.{name}", fromlist=["numpy_helper"])
    assert place.numpy_helper is numpy_helper, f"tf2onnx.{name} reads its constants elsewhere"
