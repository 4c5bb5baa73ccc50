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
from mlflow_tfconv.steps.benchmark.class_names import class_names_of
from mlflow_tfconv.steps.benchmark.config import BenchmarkConfig
from mlflow_tfconv.steps.benchmark.driver.bench import Bench
from mlflow_tfconv.steps.benchmark.driver.comparison import Comparison, compared
from mlflow_tfconv.steps.benchmark.driver.layer_changes import layer_changes
from mlflow_tfconv.steps.benchmark.driver.surroundings import library_versions, machine
from mlflow_tfconv.steps.benchmark.statistics.compared_metrics import compared_metrics
from mlflow_tfconv.steps.benchmark.statistics.judge import Judge
from mlflow_tfconv.steps.benchmark.statistics.quality import chosen_metrics
from mlflow_tfconv.steps.benchmark.statistics.quality_intervals import Redraws
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
        class_names=class_names_of(context.dataset),
        redraws=Redraws(draws=config.quality.resamples, seconds=config.quality.function_time_s),
    )
    bench = Bench(
        config=config,
        device=context.device,
        parts=parts,
        examples=examples,
        workdir=workdir,
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
    layers = layer_changes(comparison.measurements)
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
        "timings": comparison.timings,
        "variants": {
            name: {
                **_of_variant(name, comparison),
                **({"layers": layers[name]} if name in layers else {}),
            }
            for name in comparison.measurements
        },
    }


def _of_variant(name: str, comparison: Comparison) -> dict[str, Any]:
    """All that is known of a variant besides its row, and whether it is as fast as the reference."""
    measurement = comparison.measurements[name]
    details = measurement.details
    return {
        **{key: value for key, value in details.items() if key != "surroundings"},
        **details["surroundings"],
        "quality": comparison.judgements[name].details,
        "against_reference": compared_metrics(measurement.blocks, measurement.beside),
    }
