"""The pruned model as ONNX: fine-tuned where that is possible, at once where it is not."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mlflow_tfconv.artifacts import ParityReport
from mlflow_tfconv.device import Device
from mlflow_tfconv.engine.codec import encode
from mlflow_tfconv.engine.digests import Digests
from mlflow_tfconv.engine.events import Progress
from mlflow_tfconv.engine.parts import Parts
from mlflow_tfconv.errors import CompressionError, ParityError
from mlflow_tfconv.runtimes.parity import check_parity
from mlflow_tfconv.runtimes.runtime import Runtime
from mlflow_tfconv.steps.compress.config import PruneConfig
from mlflow_tfconv.steps.compress.onnx_files import opset_of
from mlflow_tfconv.steps.compress.prune_once import prune_once
from mlflow_tfconv.steps.compress.workplace import FACTS, KERAS_MODEL, MODEL, Workplace


def pruned_model(config: PruneConfig, name: str, place: Workplace) -> Path:
    """The folder of the pruned model, which variants with the same `prune` share."""
    return place.parts.build(
        {
            **place.ingredients,
            "stage": "prune",
            "prune": asdict(config),
            "training_code": place.training_code,
        },
        lambda work: _make_pruned(work, config, name, place),
    )


def _make_pruned(work: Path, config: PruneConfig, name: str, place: Workplace) -> None:
    facts: dict[str, Any] = {"history": {}, "parity": None, "notes": []}
    if place.keras is None or config.epochs == 0:
        facts["zeros"] = prune_once(place.onnx, work / MODEL, config)
        facts["notes"] = ["pruned at once, without fine-tuning"]
    else:
        pruned = _fine_tuned(work / KERAS_MODEL, config, name, place)
        facts |= {"zeros": pruned.zeros, "history": pruned.history}
        facts["parity"] = encode(_exported(work, place), work)
    (work / FACTS).write_text(json.dumps(facts))


def _fine_tuned(output: Path, config: PruneConfig, name: str, place: Workplace) -> Any:
    if place.keras is None or place.examples.dataset is None:
        raise CompressionError(
            "There are no labelled examples to fine-tune the pruned model on.",
            received=f"prune.epochs: {config.epochs}, no dataset",
            expected="a dataset with a train split",
            fix="Pass `dataset=` (the manifest that `ingest` writes), or prune at once: "
            "`epochs: 0`.",
        )
    # TensorFlow is needed from here on only: an ONNX file is compressed without it.
    from mlflow_tfconv.steps.compress.fine_tuning import training_stream
    from mlflow_tfconv.steps.compress.prune_magnitude import prune_magnitude

    def report(done: int, total: int, loss: float) -> None:
        detail = f"loss {loss:.4f}"
        place.emit(Progress(label=f"fine-tune {name}", done=done, total=total, detail=detail))

    return prune_magnitude(
        place.keras,
        output,
        config,
        stream=training_stream(
            place.examples.dataset, config.batch_size, place.examples.seed, place.recipe_root
        ),
        seed=place.examples.seed,
        recipe_root=place.recipe_root,
        report=report,
    )


def _exported(work: Path, place: Workplace) -> ParityReport:
    """Writes the ONNX file of the pruned Keras model; gives the verdict on it."""
    from mlflow_tfconv.steps.compress.export_onnx import export_onnx

    opset = opset_of(place.onnx)
    source = export_onnx(work / KERAS_MODEL, work / MODEL, device=place.device, opset=opset)
    return require_parity(source, work / MODEL, place.examples.few(source.inputs))


def require_parity(
    source: Runtime, export: Path, samples: Iterable[Mapping[str, Any]] | None
) -> ParityReport:
    """The verdict on an export, which is a good one.

    Raises:
        ParityError: It is not.
    """
    with source:
        report = check_parity(source, export, samples=samples)
    if not report.passed:
        raise ParityError(
            f"The ONNX file of {source.path.name} disagrees with it.",
            report=report,
            received=report.problem,
            expected=f"differences of at most {report.absolute_tolerance:g} + "
            f"{report.relative_tolerance:g} x |value|",
            fix="Export the model by itself and look at the outputs that differ: "
            "`tfconv convert PATH OUTPUT`.",
        )
    return report


def exported_onnx(model: Path, parts: Parts, device: Device) -> Path:
    """The ONNX file of a Keras file or a SavedModel, for a model that has none yet."""
    from mlflow_tfconv.steps.compress.export_onnx import export_onnx

    def make(work: Path) -> None:
        require_parity(export_onnx(model, work / MODEL, device=device), work / MODEL, None)

    return parts.build({"stage": "export", "model": Digests().of(model)}, make) / MODEL
