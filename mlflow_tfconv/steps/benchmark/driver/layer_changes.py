"""Each variant's layers against those of the first model of the same format: the one before compression."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.steps.benchmark.driver.measurement import Measurement
from mlflow_tfconv.steps.benchmark.layers.profiled_model import ProfiledModel, profiled_model
from mlflow_tfconv.steps.benchmark.layers.slower_layers import compared_layers
from mlflow_tfconv.steps.benchmark.worker.profile_files import PROFILE_FILE

_NS_PER_MS = 1e6


def layer_changes(measurements: Mapping[str, Measurement]) -> dict[str, dict[str, Any]]:
    """What changed against the reference of the same runtime.

    Args:
        measurements: Run name to what was measured, references first.

    Returns:
        Run name to plain values: "reference" (its run name), "slower" (layers) and the other fields
        of `LayerComparison`. Only those that have a reference are in it.
    """
    references: dict[str, tuple[str, ProfiledModel]] = {}
    found = {}
    for name, measurement in measurements.items():
        model = _profile_of(measurement)
        if model is None:
            continue
        base, reference = references.setdefault(name.rpartition("/")[2], (name, model))
        if base != name and reference.batch_size == model.batch_size:
            compared = compared_layers(
                reference,
                model,
                reference_p50_ms=_p50_ms(measurements[base], model.batch_size),
                p50_ms=_p50_ms(measurement, model.batch_size),
            )
            found[name] = {"reference": base, **compared.to_plain()}
    return found


def _profile_of(measurement: Measurement) -> ProfiledModel | None:
    folders: list[Path] = [f.parent for f in measurement.files if f.name == PROFILE_FILE]
    return profiled_model(folders[0]) if folders else None


def _p50_ms(measurement: Measurement, batch_size: int) -> float | None:
    samples = measurement.samples.get(batch_size)
    return None if samples is None or not len(samples) else float(np.median(samples)) / _NS_PER_MS
