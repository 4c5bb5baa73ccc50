"""Reads a Keras 3 model: a `.keras` archive, an HDF5 file, or a live model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlflow_tfconv.device import Device
from mlflow_tfconv.exporters.live_model import require_keras_model
from mlflow_tfconv.exporters.trace_function import module_of, trace_function
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.runtimes.keras_runtime import KerasRuntime
from mlflow_tfconv.sources.options import SourceOptions


def traced_from_keras(
    path: Path, options: SourceOptions = SourceOptions(), *, device: Device, model: Any = None
) -> Traced:
    """Traces the model for inference, with a batch of any size.

    Args:
        path: The file; of a live model the place it is said to come from.
        options: What the user says about what the file leaves open.
        device: Where to compute.
        model: A live `keras.Model`, which is then used instead of the file.

    Raises:
        ConfigError: The live object is no Keras 3 model.
        ConversionError: The file is refused or can't be loaded, or its inputs can't be told.
    """
    del options
    if model is not None:
        require_keras_model(model)
    reference = KerasRuntime(path, device=device, model=model, traced=False)
    function = trace_function(reference.call, reference.inputs)
    return Traced(
        function=function,
        module=module_of(function, reference.model),
        inputs=reference.inputs,
        outputs=reference.outputs,
        open_reference=lambda: reference,
        parameters=reference.model.count_params(),
        source_format="keras",
        model=reference.model,
    )
