"""Looks at an ONNX model before it is written."""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from onnx import helper

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.exporters.write_onnx import Weight


def check_onnx(model: onnx.ModelProto, weights: Sequence[Weight], traced: Traced) -> None:
    """Raises when the model is not valid, or lacks inputs of its source or has others.

    Args:
        model: The model without these weights.
        weights: Further initializers of its graph.
        traced: The source.

    Raises:
        ConversionError: It is not.
    """
    _check_inputs([value.name for value in model.graph.input], traced)
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    # For its structure a weight is as good as an input, and needs no values.
    whole.graph.input.extend(
        helper.make_tensor_value_info(w.tensor.name, w.tensor.data_type, list(w.tensor.dims))
        for w in weights
    )
    try:
        onnx.checker.check_model(whole)
    except onnx.checker.ValidationError as error:
        raise ConversionError(
            "The ONNX model that was made is not valid.",
            received=str(error).splitlines()[0],
            fix="Try another `opset`, or export the SavedModel only (formats: [saved_model]).",
        ) from error


def _check_inputs(found: Sequence[str], traced: Traced) -> None:
    if sorted(found) != sorted(spec.name for spec in traced.inputs):
        raise ConversionError(
            "The ONNX model does not have the inputs of its source.",
            received=", ".join(found),
            expected=", ".join(spec.name for spec in traced.inputs),
            fix="Write the layers that hold the missing inputs with other operations.",
        )
