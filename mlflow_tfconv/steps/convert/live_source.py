"""A model that lives in the caller's process: read and run there, where its objects are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlflow_tfconv.engine.events import Emit
from mlflow_tfconv.exporters.live_model import save_live_model
from mlflow_tfconv.exporters.made_up_batches import made_up_batches
from mlflow_tfconv.exporters.saved_model_from_traced import saved_model_from_traced
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.exporters.traced_from_source import traced_from_source
from mlflow_tfconv.runtimes.batches_of import batches_of
from mlflow_tfconv.runtimes.layer_names import layer_names
from mlflow_tfconv.steps.convert.changes import changed, saved_in_precision
from mlflow_tfconv.steps.convert.kept_answers import keep_answers, of_samples
from mlflow_tfconv.steps.convert.options import source_options
from mlflow_tfconv.steps.convert.phases import COMPARING, READING, SAVED_MODEL, phases_of, progress
from mlflow_tfconv.steps.convert.request import Request
from mlflow_tfconv.steps.convert.workplace import FILES, LIVE_MODEL, exports_in
from mlflow_tfconv.steps.convert.written import Written


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSource:
    """What is done already when the other processes begin.

    Attributes:
        request: The rest: from the SavedModel that was written.
        written: What is known of the model.
    """

    request: Request
    written: Written


def live_source(model: Any, request: Request, samples: Any, emit: Emit) -> LiveSource:
    """Saves the model, writes its SavedModel and keeps its answers.

    Raises:
        ConfigError: It is no Keras 3 model, or the samples don't fit it.
        ConversionError: It can't be traced, saved or run.
    """
    order = phases_of(request.config.formats)
    exports = exports_in(request.work)
    emit(progress(READING, order))
    options = source_options(request)
    source = traced_from_source(
        exports / LIVE_MODEL, options=options, device=request.device, model=model
    )
    traced = changed(source, request).traced
    save_live_model(model, exports / LIVE_MODEL)
    emit(progress(SAVED_MODEL, order))
    saved_model = _write_saved_model(traced, request)
    emit(progress(COMPARING, order))
    with traced.open_reference() as reference:
        keep_answers(reference, _batches(samples, traced), request.work)
    return LiveSource(
        request=replace(
            request, source=saved_model, prepared=True, samples=None, layers=layer_names(model)
        ),
        written=Written(
            inputs=traced.inputs,
            outputs=traced.outputs,
            source_format=traced.source_format,
            choices=traced.choices,
            parameters=traced.parameters,
            **of_samples(None if samples is None else "given samples", traced.warnings),
        ),
    )


def _write_saved_model(traced: Traced, request: Request) -> Path:
    """Writes it; gives the one that has the whole weights, which ONNX is made from."""
    asked_for = "saved_model" in request.config.formats
    exported = exports_in(request.work) / FILES["saved_model"]
    whole = exported if asked_for else request.work / FILES["saved_model"]
    if asked_for and request.config.precision is not None:
        saved_model_from_traced(saved_in_precision(traced, request.config), exported)
        whole = request.work / FILES["saved_model"]
    saved_model_from_traced(traced, whole)
    return whole


def _batches(samples: Any, traced: Traced) -> Iterable[Any]:
    return made_up_batches(traced) if samples is None else batches_of(samples, traced.inputs)
