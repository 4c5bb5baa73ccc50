"""Names the layer of a source at which an export of it begins to differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.device import Device
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.runtimes.first_divergence import first_divergence
from mlflow_tfconv.runtimes.function_inner_values import FunctionInnerValues
from mlflow_tfconv.runtimes.inlined_function import inlined_function
from mlflow_tfconv.runtimes.inner_values import inner_values
from mlflow_tfconv.runtimes.layer_names import layer_names
from mlflow_tfconv.runtimes.runtime import open_runtime
from mlflow_tfconv.runtimes.tolerance import Tolerance


def diverging_layer(
    traced: Traced,
    path: Path,
    batch: Mapping[str, np.ndarray[Any, Any]],
    *,
    tolerance: Tolerance,
    layers: Sequence[str] = (),
    device: Device = Device(),
) -> str | None:
    """The first layer or tensor of the model whose values the export does not have, in words.

    Args:
        traced: The model; of an ONNX file the part that it was made from.
        path: The SavedModel or ONNX file.
        batch: Inputs on which the outputs differ.
        tolerance: What is allowed.
        layers: Names of the model's layers, when it has no live Keras model that tells them.
        device: Where the export computes.

    Returns:
        None when nothing can be told: on a closer look the outputs agree (a layer is random), or
        the two have no inner tensors of the same names.
    """
    inlined = inlined_function(
        traced.function, [s.name for s in traced.inputs], [s.name for s in traced.outputs]
    )
    if not traced.weights.in_memory:
        inlined = inlined.with_values(traced.weights.value)
    with open_runtime(path, device=device) as runtime:
        export = inner_values(runtime)
        if export is None:
            return None
        return first_divergence(
            FunctionInnerValues(inlined),
            export,
            batch,
            tolerance=tolerance,
            layers=layers or layer_names(traced.model),
        )
