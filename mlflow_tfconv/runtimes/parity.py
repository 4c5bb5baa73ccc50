"""Whether two models give the same outputs: the verdict on an exported file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.arguments import require_numbers
from mlflow_tfconv.artifacts import ParityReport, Variant
from mlflow_tfconv.device import Device
from mlflow_tfconv.runtimes.batches_of import Samples, batches_of
from mlflow_tfconv.runtimes.comparison import Comparison
from mlflow_tfconv.runtimes.given_model import is_live_model, model_path
from mlflow_tfconv.runtimes.inner_values import inner_values
from mlflow_tfconv.runtimes.layer_names import layer_names
from mlflow_tfconv.runtimes.random_inputs import DESCRIPTION, random_inputs
from mlflow_tfconv.runtimes.runtime import Runtime, open_runtime, predicted
from mlflow_tfconv.runtimes.tolerance import Tolerance, ToleranceLike, tolerance_of

Batch = Mapping[str, np.ndarray[Any, Any]]
Model = str | Path | Variant | Runtime | Any  # Any: a live keras.Model


def check_parity(
    reference: Model,
    candidate: Model,
    *,
    samples: Samples | None = None,
    tolerance: ToleranceLike = None,
    absolute_tolerance: float | None = None,
    relative_tolerance: float | None = None,
    device: str | Device = "cpu",
) -> ParityReport:
    """Runs both models on the same inputs and compares every output value.

    A value agrees when `|candidate - reference| <= absolute_tolerance + relative_tolerance *
    |reference|`; integers, booleans and strings must be equal. NaN agrees with NaN and an infinity
    with the same infinity, but an output without a single finite value proves nothing and fails,
    and so does a comparison of no examples.

    Args:
        reference: The source: a path, a variant, a `keras.Model`, or a loaded model (which is
            left open).
        candidate: The export, given as any of these.
        samples: Batches `{input_name: array of shape (batch, ...)}`, one of them, or the array of
            a single input; None makes up a few, always the same (the report says so).
        tolerance: What is allowed: a precision ("float32", "float16", "bfloat16", "int8"), a
            number, a pair (absolute, relative), or a mapping; None is "float32".
        absolute_tolerance: Absolute difference that is allowed; 1e-4 when nothing is said.
        relative_tolerance: Difference that is allowed, relative to the reference's value; 1e-3
            when nothing is said.
        device: Where models given as paths compute.

    Raises:
        ConversionError: A model can't be loaded, or no samples can be made up.
        ConfigError: There are no samples, they don't fit the source, or an argument can't be used.
    """
    allowed = _tolerance(tolerance, absolute_tolerance, relative_tolerance)
    where = device if isinstance(device, Device) else Device.parse(device)
    with ExitStack() as stack:
        source, export = (_opened(model, where, stack) for model in (reference, candidate))
        comparison = Comparison(allowed)
        for batch in _batches(samples, source):
            if not comparison.add(batch, predicted(source, batch), export):
                break
        described = DESCRIPTION if samples is None else "given samples"
        report = comparison.report(source.path, export.path, described)
        if comparison.failing is None:
            return report
        return replace(report, first_divergence=_divergence(source, export, comparison))


def _divergence(source: Runtime, export: Runtime, comparison: Comparison) -> str | None:
    """Where the two begin to differ, if that can be told."""
    from mlflow_tfconv.runtimes.first_divergence import first_divergence

    layers = layer_names(getattr(source, "model", None))
    models = inner_values(source), inner_values(export)
    if models[0] is None or models[1] is None or comparison.failing is None:
        return None
    try:
        return first_divergence(
            models[0],
            models[1],
            comparison.failing,
            tolerance=comparison.tolerance,
            layers=layers,
        )
    except Exception:  # noqa: BLE001 (the verdict stands, whatever a closer look meets)
        return None


def _tolerance(
    tolerance: ToleranceLike, absolute: float | None, relative: float | None
) -> Tolerance:
    """`tolerance`, in which one or both parts may be said on their own."""
    allowed = tolerance_of(tolerance)
    if absolute is not None:
        require_numbers(0, absolute_tolerance=absolute)
        allowed = replace(allowed, absolute=absolute)
    if relative is not None:
        require_numbers(0, relative_tolerance=relative)
        allowed = replace(allowed, relative=relative)
    return allowed


def _opened(model: Any, device: Device, stack: ExitStack) -> Runtime:
    if isinstance(model, Runtime):
        return model
    if is_live_model(model):
        from mlflow_tfconv.runtimes.keras_runtime import KerasRuntime

        return stack.enter_context(KerasRuntime(Path(model.name), device=device, model=model))
    path = model_path(model, "a path, a Variant, a keras.Model or a loaded model")
    kind, options = None, None
    if isinstance(model, Variant):
        kind, options = model.format, model.session_options or None
    return stack.enter_context(open_runtime(path, kind, device=device, session_options=options))


def _batches(samples: Samples | None, source: Runtime) -> Iterator[Batch]:
    if samples is None:
        return random_inputs(source.inputs)
    return batches_of(samples, source.inputs)
