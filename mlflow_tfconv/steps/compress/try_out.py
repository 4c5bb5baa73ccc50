"""A variant has to load and to give numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.errors import CompressionError
from mlflow_tfconv.runtimes.runtime import open_runtime
from mlflow_tfconv.steps.compress.workplace import Workplace


def try_out(path: Path, place: Workplace) -> None:
    """Loads the file and, where there are examples, runs a batch: outputs have to be finite."""
    with open_runtime(path, "onnx") as variant:
        if not place.examples.available:
            return
        batch = place.examples.few(variant.inputs)[0]
        broken = _not_finite(variant.predict(batch))
    with open_runtime(place.onnx, "onnx") as base:
        broken -= _not_finite(base.predict(batch)) if broken else set()
    if broken:
        raise CompressionError(
            "The variant gives NaN or infinite outputs where the base model gives numbers.",
            received=", ".join(sorted(broken)),
            expected="finite outputs",
            fix="In float16, activations beyond 65504 overflow: keep the nodes where that happens "
            "in float32 with `exclude`.",
        )


def _not_finite(outputs: Mapping[str, np.ndarray[Any, Any]]) -> set[str]:
    return {n for n, a in outputs.items() if a.dtype.kind == "f" and not np.isfinite(a).all()}
