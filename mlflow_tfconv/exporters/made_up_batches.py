"""Examples for a model that came without any."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mlflow_tfconv.exporters.input_ranges import input_ranges
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.runtimes.random_inputs import random_inputs


def made_up_batches(traced: Traced) -> Iterator[dict[str, np.ndarray[Any, Any]]]:
    """Batches within what the model's inputs take, the same every time."""
    try:
        ranges = input_ranges(traced)
    except Exception:  # noqa: BLE001 (a graph that can't be followed: types alone have to do)
        ranges = {}
    return random_inputs(traced.inputs, ranges=ranges)
