"""Writes an ONNX file. The only file that knows tf2onnx.

The function is frozen and its GraphDef converted: `tf2onnx.convert.from_function` keeps constants of
Keras' Normalization as extra inputs and goes on after errors. tf2onnx only logs what it can't
convert (tensorflow-onnx #2448 and others), so its log is read and every error there is ours.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
from tf2onnx import graph as graph_module
from tf2onnx import optimizer, tf_loader, tfonnx

from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.exporters.quiet_tensorflow import quiet_tensorflow
from mlflow_tfconv.exporters.stable_names import stable_names
from mlflow_tfconv.exporters.tf2onnx_additions import OPERATIONS, tf2onnx_adjusted
from mlflow_tfconv.exporters.traced import Traced

#: Protobuf's limit is 2 GiB for a message; the graph itself needs some of it.
_MOST_WEIGHT_BYTES = 2**31 - 2**24


def onnx_from_traced(traced: Traced, path: Path, *, opset: int) -> None:
    """Writes the model under the source's own names, with a batch of any size.

    Raises:
        ConversionError: An operation has no counterpart in ONNX, an input or output is of a type
            that ONNX lacks, or the weights are too large for one file.
    """
    _require_tensors(traced.inputs + traced.outputs)
    _require_size(traced.function)
    with _errors_noted() as errors, tf2onnx_adjusted(graph_module), quiet_tensorflow():
        try:
            model = _converted(traced, opset)
        except ConversionError:
            raise
        except Exception as error:  # tf2onnx and grappler raise whatever they meet
            raise _unconvertible([*errors, f"{type(error).__name__}: {error}"]) from error
    if errors:
        raise _unconvertible(errors)
    onnx.save_model(stable_names(model), str(path))
    _check(path, traced)


def _converted(traced: Traced, opset: int) -> Any:
    frozen = convert_variables_to_constants_v2(
        traced.function, lower_control_flow=False, aggressive_inlining=True
    )
    graph_def = tf_loader.fix_freezing_errors_part2(frozen.graph.as_graph_def(add_shapes=True))
    inputs = [tensor.name for tensor in frozen.inputs]
    outputs = [tensor.name for tensor in frozen.outputs]
    with tf.Graph().as_default():
        graph_def = tf_loader.tf_optimize(inputs, outputs, graph_def)
    # Flattening a dict sorts its keys: so do both signatures.
    names = sorted(spec.name for spec in traced.inputs)
    names += sorted(spec.name for spec in traced.outputs)
    renamed = dict(zip(inputs + outputs, names, strict=True))
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        return _onnx_model(graph, inputs, outputs, renamed, opset)


def _onnx_model(
    graph: Any, inputs: list[str], outputs: list[str], renamed: dict[str, str], opset: int
) -> Any:
    converted = tfonnx.process_tf_graph(
        graph,
        continue_on_error=False,
        opset=opset,
        input_names=inputs,
        output_names=outputs,
        tensors_to_rename=renamed,
        custom_op_handlers=dict(OPERATIONS),
    )
    # Catching errors would deep-copy the graph with its weights for every single pass.
    optimized = optimizer.optimize_graph(converted, catch_errors=False)
    return optimized.make_model("made by mlflow_tfconv", graph_name="model")


@contextmanager
def _errors_noted() -> Iterator[list[str]]:
    """Collects what tf2onnx logs as errors, and keeps its log to itself."""
    noted: list[str] = []
    logger = logging.getLogger("tf2onnx")
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: noted.append(record.getMessage())  # type: ignore[method-assign]
    propagate, handlers = logger.propagate, logger.handlers
    logger.propagate, logger.handlers = False, [handler]
    try:
        yield noted
    finally:
        logger.propagate, logger.handlers = propagate, handlers


def _require_tensors(specs: Sequence[TensorSpec]) -> None:
    for spec in specs:
        if spec.dtype in ("string", "resource", "variant"):
            raise ConversionError(
                f"{spec.name!r} is of type {spec.dtype}, which the ONNX model can't have.",
                received=", ".join(f"{s.name}: {s.dtype}" for s in specs),
                expected="numbers and booleans",
                fix="Export the SavedModel only (formats: [saved_model]), or move what works on "
                "strings out of the model, into the data's pipeline.",
            )


def _require_size(function: Any) -> None:
    size = sum(v.dtype.size * (v.shape.num_elements() or 0) for v in function.graph.variables)
    if size > _MOST_WEIGHT_BYTES:
        raise ConversionError(
            "The model is too large for this way to ONNX.",
            received=f"{size / 1e9:.2f} GB of weights",
            expected=f"at most {_MOST_WEIGHT_BYTES / 1e9:.2f} GB",
            fix="Export the SavedModel only (formats: [saved_model]).",
        )


def _unconvertible(errors: Sequence[str]) -> ConversionError:
    shown = list(dict.fromkeys(line for error in errors for line in error.splitlines()[:1]))
    return ConversionError(
        "The model can't be converted to ONNX.",
        received="; ".join(shown)[:2000],
        expected="operations that have a counterpart in ONNX",
        fix="Export the SavedModel only (formats: [saved_model]), write the layer with other "
        "operations, or try another `opset`.",
    )


def _check(path: Path, traced: Traced) -> None:
    try:
        onnx.checker.check_model(str(path))
    except onnx.checker.ValidationError as error:
        raise ConversionError(
            "The ONNX file that was written is not valid.",
            received=str(error).splitlines()[0],
            fix="Try another `opset`, or export the SavedModel only (formats: [saved_model]).",
        ) from error
    graph = onnx.load(str(path), load_external_data=False).graph
    found = [value.name for value in graph.input]
    if sorted(found) != sorted(spec.name for spec in traced.inputs):
        raise ConversionError(
            "The ONNX file does not have the inputs of its source.",
            received=", ".join(found),
            expected=", ".join(spec.name for spec in traced.inputs),
            fix="Write the layers that hold the missing inputs with other operations.",
        )
