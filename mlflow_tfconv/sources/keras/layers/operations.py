"""Functions and operations of TensorFlow that tf.keras keeps as layers."""

from __future__ import annotations

from typing import Any

from google.protobuf import json_format
from tensorflow.core.framework.node_def_pb2 import NodeDef

from mlflow_tfconv.runtimes.layers_of_old.operations import (
    TensorFlowFunction,
    TensorFlowOperation,
    is_pure,
    node_from_text,
)
from mlflow_tfconv.runtimes.layers_of_old.tensorflow_functions import known_function
from mlflow_tfconv.sources.keras.layer_config import LayerConfig
from mlflow_tfconv.sources.keras.layers.plain import made
from mlflow_tfconv.sources.keras.translated import Translated


def _function(layer: LayerConfig) -> Translated:
    name = str(layer.arguments["function"])
    if known_function(name) is None:
        raise layer.refused(
            f"it calls tf.{name}, which is not among the functions that only compute",
            "Put the function into a layer class of your own, or save the model as a SavedModel.",
        )
    translated = made(TensorFlowFunction, layer, function=name)

    def call(first: Any, **keywords: Any) -> Any:
        keywords.pop("var", None)  # of a slice; nobody ever gave one
        return translated.layer.called_with(first, keywords)

    translated.call = call
    return translated


def _operation(layer: LayerConfig) -> Translated:
    text = node_from_text(layer.arguments["node_def"])
    node = NodeDef()
    json_format.Parse(text, node)
    if not is_pure(node.op):
        raise layer.refused(
            f"its operation {node.op} is not known to compute only",
            "Save the model as a SavedModel.",
        )
    constants = {str(key): value for key, value in (layer.get("constants") or {}).items()}
    return made(TensorFlowOperation, layer, node=text, constants=constants)


LAYERS: dict[str, Any] = {
    "TFOpLambda": _function,
    "SlicingOpLambda": _function,
    "TensorFlowOpLayer": _operation,
}
