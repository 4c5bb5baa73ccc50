"""What the step says about its results: one run a format, with its model and its parity."""

from __future__ import annotations

from pathlib import Path

from mlflow_tfconv.artifacts import ConvertedModel
from mlflow_tfconv.engine.digests import Digests
from mlflow_tfconv.engine.events import Emit, Message, Metric, ModelFile, Param, VariantRun
from mlflow_tfconv.steps.convert.workplace import EXAMPLES_FILE


def emit_results(converted: ConvertedModel, parameters: int, opset: int, emit: Emit) -> None:
    """Announces base/keras, base/saved_model and base/onnx, as far as they exist."""
    for said in (*map(str, converted.choices), *converted.warnings):
        emit(Message(text=said))
    # The same for all variants, so they belong to the parent run: charts choose params that differ.
    emit(Param(name="parameters", value=parameters))
    if converted.onnx is not None:
        emit(Param(name="opset", value=opset))
    for name, path in _models(converted).items():
        run = f"base/{name}"
        params = {
            "variant": "base",
            "format": name,
            "technique": "none",
            "precision": "float32" if name == "keras" else _precision(converted),
            "target_sparsity": 0.0,
        }
        digest = Digests().of(path) or ""
        emit(VariantRun(run=run, fingerprint=digest[:20], params=params))
        emit(_model_file(run, name, path, converted))
        if name in converted.parity:
            error = converted.parity[name].max_abs_error
            emit(Metric(name="parity/max_abs_error", value=error, run=run))


def _precision(converted: ConvertedModel) -> str:
    """What the exports compute in."""
    asked_for = (choice.chosen for choice in converted.choices if choice.what == "precision")
    return next(asked_for, "float32")


def _model_file(run: str, name: str, path: Path, converted: ConvertedModel) -> ModelFile:
    """With the signature of the file, which of an ONNX file may be that of a part of the model."""
    of_part = name == "onnx" and converted.onnx_inputs is not None
    inputs = converted.onnx_inputs if of_part else converted.inputs
    outputs = converted.onnx_outputs if of_part else converted.outputs
    return ModelFile(
        run=run,
        format=name,
        path=path,
        inputs=inputs or (),
        outputs=outputs or converted.outputs,
        examples=None if of_part else _examples(converted),
    )


def _models(converted: ConvertedModel) -> dict[str, Path]:
    """Format to path, of those that there are."""
    paths = {"keras": converted.keras, "saved_model": converted.saved_model, "onnx": converted.onnx}
    return {name: path for name, path in paths.items() if path is not None}


def _examples(converted: ConvertedModel) -> Path | None:
    export = converted.saved_model or converted.onnx
    path = None if export is None else export.parent / EXAMPLES_FILE
    return path if path is not None and path.is_file() else None
