"""All variants of a recipe, one after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.artifacts import ConvertedModel, TensorSpec, Variant, Variants
from mlflow_tfconv.device import Device, apply_to_tensorflow
from mlflow_tfconv.engine.digests import Digests
from mlflow_tfconv.engine.events import Message, Progress
from mlflow_tfconv.engine.parts import Parts
from mlflow_tfconv.engine.step import StepContext, StepResult
from mlflow_tfconv.engine.user_files import code_files
from mlflow_tfconv.steps.compress.base import base_variants, keras_of
from mlflow_tfconv.steps.compress.build import Built, build_variant, moved
from mlflow_tfconv.steps.compress.calibration import Examples
from mlflow_tfconv.steps.compress.config import CompressConfig, VariantConfig
from mlflow_tfconv.steps.compress.pruned_model import exported_onnx
from mlflow_tfconv.steps.compress.report import (
    Row,
    card,
    float_note,
    footprint,
    size_note,
    variant_events,
)
from mlflow_tfconv.steps.compress.workplace import MODEL, Workplace

_USER_FILE = "steps/train.py"
_LOGGED_EXAMPLES = 4


def all_variants(
    config: CompressConfig,
    model: ConvertedModel,
    workdir: Path,
    context: StepContext,
    libraries: Sequence[str],
) -> StepResult:
    """Makes the variants, tells of each as soon as it is there, and gives them with their card."""
    apply_to_tensorflow(context.device)  # for the fine-tuning; before TensorFlow computes anything
    place = _workplace(config, model, workdir, context, libraries)
    base = base_variants(model, place.parts)
    for variant in base:
        for event in footprint(variant):
            context.emit(event)
    examples = _logged_examples(workdir, place, model.inputs)
    rows = [Row(variant=variant) for variant in base]
    for number, asked in enumerate(config.variants):
        _progress(context, number, config, asked.name)
        row = _row(asked, moved(build_variant(asked, place), workdir / asked.name), base)
        rows.append(row)
        for event in variant_events(row, model.inputs, model.outputs, examples):
            context.emit(event)
        for note in row.notes:
            context.emit(Message(text=f"{row.variant.run_name}: {note}"))
    _progress(context, len(config.variants), config, "")
    variants = tuple(row.variant for row in rows)
    output = Variants(variants=variants, inputs=model.inputs, outputs=model.outputs)
    return StepResult(output=output, card=card(rows))


def _progress(context: StepContext, done: int, config: CompressConfig, detail: str) -> None:
    total = len(config.variants)
    context.emit(Progress(label="compress", done=done, total=total, detail=detail))


def _row(asked: VariantConfig, built: Built, base: Sequence[Variant]) -> Row:
    variant = Variant(
        name=asked.name,
        format="onnx",
        path=built.folder / MODEL,
        technique=asked.technique,
        precision=asked.precision,
        audit=built.audit,
        fingerprint=built.fingerprint,
        parity=built.parity,
    )
    onnx_base = [b for b in base if b.format == "onnx"]
    sizes = size_note(variant, onnx_base[0]) if onnx_base else ()
    return Row(
        variant=variant,
        prune=asked.prune,
        history=built.history,
        notes=(*built.notes, *float_note(variant), *sizes),
    )


def _workplace(
    config: CompressConfig,
    model: ConvertedModel,
    workdir: Path,
    context: StepContext,
    libraries: Sequence[str],
) -> Workplace:
    parts = context.parts or Parts(workdir / "parts")
    keras = keras_of(model)
    onnx = model.onnx or exported_onnx(model.saved_model or model.source, parts, _cpu(context))
    digests = Digests()
    return Workplace(
        onnx=onnx,
        keras=keras,
        examples=Examples(
            dataset=context.dataset,
            input_map=context.settings.get("input_map"),
            seed=config.seed,
        ),
        parts=parts,
        ingredients={
            "onnx": digests.of(onnx),
            "keras": digests.of(keras) if keras else None,
            "dataset": context.dataset.digest if context.dataset else None,
            "input_map": context.settings.get("input_map"),
            "seed": config.seed,
            "libraries": _versions(libraries),
        },
        training_code=_code_digest(context.recipe_root),
        recipe_root=context.recipe_root,
        device=_cpu(context),
        emit=context.emit,
    )


def _cpu(context: StepContext) -> Device:
    """Where exports are made and compared, so that the files hang on no GPU."""
    return Device(options=context.device.options)


def _versions(distributions: Sequence[str]) -> Mapping[str, str]:
    """Of those that are installed."""
    versions: dict[str, str] = {}
    for name in ("mlflow-tfconv", *distributions):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _code_digest(root: Path | None) -> str:
    if root is None:
        return ""
    digests = Digests()
    files = code_files(root / _USER_FILE, (root, root / "steps"))
    return ",".join(str(digests.of(file)) for file in files)


def _logged_examples(workdir: Path, place: Workplace, inputs: Sequence[TensorSpec]) -> Path | None:
    """A small batch to log with the models, or None where there is no data or it is text."""
    if not place.examples.available or any(spec.dtype == "string" for spec in inputs):
        return None
    batch: Mapping[str, Any] = place.examples.few(inputs)[0]
    path = workdir / "examples.npz"
    np.savez(path, **{name: array[:_LOGGED_EXAMPLES] for name, array in batch.items()})
    return path
