"""One benchmark from end to end: the bench, the device, the comparison, the surroundings."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mlflow_tfconv.artifacts import Reports
from mlflow_tfconv.device import driver_state
from mlflow_tfconv.engine.parts import Parts
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.steps.benchmark.candidates import Model, candidates
from mlflow_tfconv.steps.benchmark.config import BenchmarkConfig
from mlflow_tfconv.steps.benchmark.driver.comparison import Comparison, Judge, compared
from mlflow_tfconv.steps.benchmark.driver.measurement import Bench, library_versions, machine
from mlflow_tfconv.steps.benchmark.statistics.quality import chosen_metrics
from mlflow_tfconv.steps.benchmark.stored_examples import StoredExamples

_LIBRARIES = ("mlflow-tfconv", "numpy", "onnxruntime", "onnxruntime-gpu", "tensorflow", "keras")


def compared_reports(
    models: Model | Iterable[Model] | Mapping[str, Model],
    config: BenchmarkConfig,
    workdir: Path,
    *,
    context: StepContext,
    parts: Parts,
    examples: StoredExamples | None,
) -> tuple[Comparison, Reports]:
    """Measures all models and compares them.

    Args:
        models: What `candidates` takes.
        config: How to measure.
        workdir: For the logs of workers that fail.
        context: Device, metrics, and who is told.
        parts: Where measurements are kept.
        examples: Real examples, or None.
    """
    variants = candidates(models, workdir / "live")
    judge = Judge(
        labels=None if examples is None else examples.labels,
        metrics=chosen_metrics(context.metrics, context.recipe_root),
    )
    logs = workdir / "logs"
    bench = Bench(
        config=config,
        device=context.device,
        parts=parts,
        examples=examples,
        logs=logs,
        recipe_root=context.recipe_root,
    )
    bench.prove_device({variant.format for variant in variants})
    comparison = compared(variants, bench, judge, context.emit)
    surroundings = _surroundings(config, context, comparison, examples)
    return comparison, Reports(rows=comparison.rows, environment=surroundings)


def _surroundings(
    config: BenchmarkConfig,
    context: StepContext,
    comparison: Comparison,
    examples: StoredExamples | None,
) -> dict[str, Any]:
    return {
        "device": str(context.device),
        "device_options": dataclasses.asdict(context.device.options),
        "gpu": None if context.device.kind == "cpu" else driver_state(),
        "machine": machine(),
        "versions": library_versions(*_LIBRARIES),
        "config": dataclasses.asdict(config),
        "dataset": None if context.dataset is None else context.dataset.digest,
        "examples": None if examples is None else examples.count,
        "reference": comparison.reference,
        "variants": {
            name: {key: m.details[key] for key in ("load_ns", "first_run_ns", "memory")}
            | {"batches": m.details["batches"], **m.details["surroundings"]}
            for name, m in comparison.measurements.items()
        },
    }
