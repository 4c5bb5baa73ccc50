"""The part of a conversion that runs TensorFlow: in a guarded process of its own."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from mlflow_tfconv.artifacts import ParityReport
from mlflow_tfconv.device import tensorflow_in_force
from mlflow_tfconv.engine.guarded_child import Voice
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.exporters.traced_from_source import traced_from_source
from mlflow_tfconv.sources.options import SourceOptions
from mlflow_tfconv.steps.convert.answers import Answers
from mlflow_tfconv.steps.convert.changes import (
    Changed,
    changed,
    onnx_in_precision,
    saved_in_precision,
)
from mlflow_tfconv.steps.convert.kept_answers import keep_answers, of_samples
from mlflow_tfconv.steps.convert.options import preprocessing_of, source_options
from mlflow_tfconv.steps.convert.phases import COMPARING, ONNX, READING, SAVED_MODEL, Phases
from mlflow_tfconv.steps.convert.request import Request
from mlflow_tfconv.steps.convert.verdict import answers_for, size_of, tolerance, verdict
from mlflow_tfconv.steps.convert.workplace import FILES, KERAS_FILE, exports_in, part_answers_in
from mlflow_tfconv.steps.convert.written import Written

if TYPE_CHECKING:
    from mlflow_tfconv.exporters.numeric_part import OnnxPart


def write_exports(request: Request, voice: Voice) -> dict[str, Any]:
    """Reads the source, writes what is asked for, and keeps the source's answers for comparing.

    Returns:
        The fields of `Written`.

    Raises:
        ConversionError: The source can't be read or run, or not be written in a format.
    """
    phases = Phases(voice, request.config)
    phases.begin(READING)
    options = source_options(request)
    source = traced_from_source(request.source, options=options, device=request.device)
    model = changed(source, request)
    traced = model.traced
    if "saved_model" in request.config.formats:
        _write_saved_model(traced, request, phases)
    part, of_onnx = _write_onnx(traced, request, phases)
    keras, warnings = _write_keras(source, request)
    phases.begin(COMPARING)
    _answer(model, part, request, phases)
    facts: dict[str, Any] = {
        "inputs": traced.inputs,
        "outputs": traced.outputs,
        "source_format": traced.source_format,
        "parameters": traced.parameters,
        "in_force": tensorflow_in_force(request.device).text,
        "choices": (*traced.choices, *(part.choices if part else ())),
        **of_samples(
            None if request.samples is None else request.samples.named,
            (*traced.warnings, *of_onnx, *warnings),
        ),
        **_part_facts(part),
    }
    del source, model, traced, part  # one model at a time in memory
    return Written(**facts, keras=keras, saved_model=_saved_model_verdict(request, phases)).plain()


def write_rest(request: Request, voice: Voice) -> dict[str, Any]:
    """The same for a live model, whose SavedModel and answers are there already."""
    phases = Phases(voice, request.config)
    phases.begin(READING)
    facts: dict[str, Any] = {"inputs": (), "outputs": ()}
    if "onnx" in request.config.formats:
        # Our own, from a model that the caller trusts.
        options = SourceOptions(trust=True)
        traced = traced_from_source(request.source, options=options, device=request.device)
        part, warnings = _write_onnx(traced, request, phases)
        facts |= {"warnings": warnings}
        if part is not None and part.translate is not None:
            answers, of_part = answers_for("", request.work), part_answers_in(request.work)
            for batch, answer in answers:
                Answers(of_part).add(*part.translate(batch, answer))
            facts |= {"choices": part.choices, **_part_facts(part)}
        del traced, part
    phases.begin(COMPARING)
    return Written(**facts, saved_model=_saved_model_verdict(request, phases)).plain()


def diverging(request: Request, voice: Voice) -> str | None:
    """Where the ONNX file begins to differ from its source; None when it can't be told."""
    from mlflow_tfconv.exporters.diverging_layer import diverging_layer
    from mlflow_tfconv.exporters.numeric_part import onnx_part

    phases = Phases(voice, request.config)
    phases.begin(COMPARING)
    options = SourceOptions(trust=True) if request.prepared else source_options(request)
    traced = traced_from_source(request.source, options=options, device=request.device)
    if not request.prepared:
        traced = changed(traced, request).traced
    traced = onnx_part(traced).traced if request.export == "onnx" else traced
    path = exports_in(request.work) / FILES[request.export]
    allowed = tolerance(request)
    for batch, _ in answers_for(request.export, request.work):
        phases.batch(COMPARING, size_of(batch))
        with np.errstate(invalid="ignore"):  # the difference of two infinities
            found = diverging_layer(
                traced,
                path,
                batch,
                tolerance=allowed,
                layers=request.layers,
                device=request.device,
            )
        if found is not None:
            return found
    return None


def _part_facts(part: Any) -> dict[str, Any]:
    """What the ONNX file takes and gives when that is not what the model does."""
    if part is None or part.translate is None:
        return {}
    return {"onnx_inputs": part.traced.inputs, "onnx_outputs": part.traced.outputs}


def _write_saved_model(traced: Traced, request: Request, phases: Phases) -> None:
    from mlflow_tfconv.exporters.saved_model_from_traced import saved_model_from_traced

    phases.begin(SAVED_MODEL)
    stored = saved_in_precision(traced, request.config)
    saved_model_from_traced(stored, exports_in(request.work) / FILES["saved_model"])


def _write_onnx(
    traced: Traced, request: Request, phases: Phases
) -> tuple[OnnxPart | None, tuple[str, ...]]:
    """Writes it if it is asked for.

    Returns:
        What of the model it is, and what is to be said of it.
    """
    if "onnx" not in request.config.formats:
        return None, ()
    phases.begin(ONNX)
    from mlflow_tfconv.exporters.numeric_part import onnx_part
    from mlflow_tfconv.exporters.onnx_from_traced import onnx_from_traced  # takes tf2onnx along

    part = onnx_part(traced)
    path = exports_in(request.work) / FILES["onnx"]
    warnings = onnx_from_traced(part.traced, path, opset=request.config.written_opset)
    onnx_in_precision(path, request.config)
    return part, warnings


def _write_keras(traced: Traced, request: Request) -> tuple[bool, tuple[str, ...]]:
    """A source of an older Keras as a file of today's: what can be pruned, trained and measured.

    Returns:
        Whether it was written, and what is to be said of it.
    """
    if traced.model is None or traced.source_format == "keras":
        return False, ()
    if request.config.layout is not None or preprocessing_of(request) is not None:
        return False, ()  # it would take other inputs than the exports
    from mlflow_tfconv.exporters.live_model import save_live_model

    try:
        save_live_model(traced.model, exports_in(request.work) / KERAS_FILE)
    except ConversionError as error:
        return False, (f"There is no .keras file of this model: {error.received or error.what}",)
    return True, _said_of_layers(traced.model)


def _said_of_layers(model: Any) -> tuple[str, ...]:
    """How to load a file with layers that today's Keras has not."""
    ours = {type(one).__name__ for one in model._flatten_layers() if _is_ours(one)}
    if not ours:
        return ()
    return (
        f"{KERAS_FILE} has layers of this package ({', '.join(sorted(ours))}): `import "
        "mlflow_tfconv.runtimes.layers_of_old` before keras.saving.load_model.",
    )


def _is_ours(layer: Any) -> bool:
    return type(layer).__module__.startswith("mlflow_tfconv.")


def _answer(model: Changed, part: OnnxPart | None, request: Request, phases: Phases) -> None:
    batches = model.batches(request)
    with model.traced.open_reference() as reference:
        keep_answers(
            reference,
            batches,
            request.work,
            translate=None if part is None else part.translate,
            announce=partial(phases.batch, COMPARING),
        )


def _saved_model_verdict(request: Request, phases: Phases) -> ParityReport | None:
    if "saved_model" not in request.config.formats:
        return None
    _give_memory_back()
    return verdict("saved_model", request, phases, COMPARING)


def _give_memory_back() -> None:
    """What the source has used, for the export: the allocator would keep it."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
