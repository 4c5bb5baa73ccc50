"""Reads a SavedModel of TensorFlow 1 with a signature."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlflow_tfconv.artifacts import Choice
from mlflow_tfconv.device import Device
from mlflow_tfconv.exporters.call_from_saved_model_v1 import call_from_saved_model_v1
from mlflow_tfconv.exporters.trace_function import module_of, trace_function
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.runtimes.saved_model_runtime import SavedModelRuntime
from mlflow_tfconv.sources.options import SourceOptions


def traced_from_saved_model_v1(
    path: Path,
    options: SourceOptions = SourceOptions(),
    *,
    device: Device,
    model: Any = None,
) -> Traced:
    """Traces the SavedModel's `serving_default`, or the only signature there is.

    Args:
        path: The folder that holds saved_model.pb.
        options: Its signature.
        device: Where to compute.
        model: Not used; a SavedModel is always read from its folder.

    Raises:
        ConversionError: It is refused, damaged, or has no signature that can be told.
    """
    del model
    reference = SavedModelRuntime(path, device=device, signature=options.signature)
    call = call_from_saved_model_v1(path, reference.signature) or reference.call
    function = trace_function(call, reference.inputs)
    variables = reference.function.graph.variables or getattr(reference.model, "variables", ())
    return Traced(
        function=function,
        module=module_of(function, reference.model),
        inputs=reference.inputs,
        outputs=reference.outputs,
        open_reference=lambda: reference,
        parameters=sum(
            variable.shape.num_elements() or 0
            for variable in variables
            if variable.dtype.is_floating
        ),
        source_format="saved_model",
        choices=_choices(reference),
    )


def _choices(reference: SavedModelRuntime) -> tuple[Choice, ...]:
    others = tuple(sorted(set(reference.model.signatures) - {reference.signature}))
    if not others:
        return ()
    chosen = Choice(
        what="signature", chosen=reference.signature, alternatives=others, argument="signature"
    )
    return (chosen,)
