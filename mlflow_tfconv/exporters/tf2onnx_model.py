"""Has tf2onnx convert a traced function: without its weights, or with them.

The function is frozen and its GraphDef converted: `tf2onnx.convert.from_function` keeps constants of
Keras' Normalization as extra inputs and goes on after errors. tf2onnx is no library with a public
API for this: a test says which of its functions are used here and beside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
from tf2onnx import graph as graph_module
from tf2onnx import optimizer, tf_loader, tfonnx, utils
from tf2onnx.optimizer import transpose_optimizer

from mlflow_tfconv.exporters.explicit_einsum import explicit_einsums
from mlflow_tfconv.exporters.frozen_graph import (
    LARGE_BYTES,
    frozen_graph_from_traced,
    with_placeholders,
)
from mlflow_tfconv.exporters.held_array import HeldArray
from mlflow_tfconv.exporters.held_tensors import HeldTensors, held_tensors_used
from mlflow_tfconv.exporters.push_scales import push_scales
from mlflow_tfconv.exporters.tf2onnx_additions import tf2onnx_adjusted
from mlflow_tfconv.exporters.tf2onnx_handlers import OPERATIONS
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.exporters.weight_results import weight_results
from mlflow_tfconv.exporters.widen_bfloat16 import has_bfloat16, widen_bfloat16

_WIDENED = (
    "What the model computes in bfloat16, the ONNX model computes in float32: ONNX Runtime has "
    "hardly an operation for bfloat16."
)


@dataclass(frozen=True, slots=True)
class Converted:
    """An ONNX model, large tensors of which may be tags of held arrays.

    Attributes:
        model: The model.
        tensors: What the tags stand for.
        warnings: What a user should know.
    """

    model: onnx.ModelProto
    tensors: HeldTensors
    warnings: tuple[str, ...] = ()


def lean_model(traced: Traced, *, opset: int, large_bytes: int = LARGE_BYTES) -> Converted:
    """Converts without the weights.

    Args:
        traced: The model.
        opset: Version of the operator set.
        large_bytes: From how many bytes on the values of an array are held.

    Raises:
        NotLeanError: The function can't be frozen without its weights.
    """
    frozen = frozen_graph_from_traced(traced, large_bytes=large_bytes)
    warnings: tuple[str, ...] = ()
    if has_bfloat16(frozen):
        frozen, warnings = widen_bfloat16(frozen), (_WIDENED,)
    inputs, outputs = list(frozen.inputs), list(frozen.outputs)
    graph_def = with_placeholders(_optimized(frozen.graph_def, inputs, outputs), frozen.held)
    graph = _imported(push_scales(graph_def, frozen.held))
    tensors = HeldTensors(large_bytes)
    with (
        graph.as_default(),
        tf2onnx_adjusted(graph_module, transpose_optimizer),
        held_tensors_used(tensors),
    ):
        tf_loader.clear_functions()
        main, functions = tfonnx.graphs_from_tf(graph, inputs, outputs)
        _give_weights(main, weight_results(graph, frozen.held, outputs))
        for each in (main, *functions):
            each.set_config(opset=opset)
        converted = tfonnx.process_graphs(
            main,
            functions,
            custom_op_handlers=dict(OPERATIONS),
            inputs_as_nchw=[],
            outputs_as_nchw=[],
            continue_on_error=False,
            custom_rewriter=[explicit_einsums],
            initialized_tables=None,
            tensors_to_rename=_renamed(traced, inputs, outputs),
        )
        return Converted(_model(converted), tensors, warnings)


def plain_model(traced: Traced, *, opset: int) -> Converted:
    """Converts with the weights, which takes many times their memory."""
    frozen = convert_variables_to_constants_v2(
        traced.function, lower_control_flow=False, aggressive_inlining=True
    )
    inputs = [tensor.name for tensor in frozen.inputs]
    outputs = [tensor.name for tensor in frozen.outputs]
    graph = _imported(_optimized(frozen.graph.as_graph_def(add_shapes=True), inputs, outputs))
    with graph.as_default(), tf2onnx_adjusted(graph_module, transpose_optimizer):
        converted = tfonnx.process_tf_graph(
            graph,
            continue_on_error=False,
            opset=opset,
            input_names=inputs,
            output_names=outputs,
            tensors_to_rename=_renamed(traced, inputs, outputs),
            custom_op_handlers=dict(OPERATIONS),
            custom_rewriter=[explicit_einsums],
        )
        return Converted(_model(converted), HeldTensors(LARGE_BYTES))


def _optimized(graph_def: Any, inputs: list[str], outputs: list[str]) -> Any:
    graph_def = tf_loader.fix_freezing_errors_part2(graph_def)
    with tf.Graph().as_default():
        return tf_loader.tf_optimize(inputs, outputs, graph_def)


def _imported(graph_def: Any) -> tf.Graph:
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
    return graph


def _renamed(traced: Traced, inputs: Sequence[str], outputs: Sequence[str]) -> dict[str, str]:
    # Flattening a dict sorts its keys: so do both signatures.
    names = sorted(spec.name for spec in traced.inputs)
    names += sorted(spec.name for spec in traced.outputs)
    return dict(zip([*inputs, *outputs], names, strict=True))


def _give_weights(graph: Any, results: Mapping[str, HeldArray]) -> None:
    """Puts constants in the place of what weights alone decide."""
    for name, array in results.items():
        node = graph.get_node_by_output(name)
        constant = graph.make_const(utils.make_name(node.name), array)
        graph.replace_all_inputs(name, constant.output[0])
    # What was computed on the way is no longer used; rewriters would stumble over it.
    graph.delete_unused_nodes([*graph.outputs, *graph.input_names])


def _model(graph: Any) -> onnx.ModelProto:
    # Catching errors would deep-copy the graph with its weights for every single pass. Folding
    # constants before everything else would be faster, but loses masks of reversed sequences.
    graph = optimizer.optimize_graph(graph, catch_errors=False)
    return graph.make_model("made by mlflow_tfconv", graph_name="model")
