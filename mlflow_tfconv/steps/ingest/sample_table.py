"""Some examples that are no images, as a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mlflow_tfconv.data.schema import FeatureSpec, Schema
from mlflow_tfconv.data.values import is_text
from mlflow_tfconv.engine.cards import Table
from mlflow_tfconv.steps.ingest.sample_grid import value_text
from mlflow_tfconv.steps.ingest.statistics import Statistics

_MOST_ROWS = 8
_MOST_COLUMNS = 8
_MOST_LETTERS = 60
_MOST_NUMBERS = 4


def sample_table(schema: Schema, statistics: Statistics) -> Iterator[Table]:
    """A few examples, the labels first; nothing of an empty dataset."""
    names = [*schema.label, *(name for name in schema.features if name not in schema.label)]
    shown = names[:_MOST_COLUMNS]
    samples = statistics.samples[:_MOST_ROWS]
    if not samples:
        return
    more = f", {len(shown)} of {len(names)} features" if len(names) > len(shown) else ""
    yield Table(
        columns=tuple(shown),
        rows=tuple(
            tuple(_cell(schema.features[name], sample[name]) for name in shown)
            for sample in samples
        ),
        caption=f"{len(samples)} examples, drawn from all splits{more}",
    )


def _cell(spec: FeatureSpec, array: np.ndarray[Any, Any]) -> str:
    if array.ndim == 0 or (is_text(array) and array.size == 1):
        value = array.item()
        return "" if value != value else _short(value_text(spec, value))  # NaN: missing
    if is_text(array):
        return _short(", ".join(value.decode(errors="replace") for value in array.flat))
    few = array.reshape(-1)[:_MOST_NUMBERS]
    numbers = ", ".join(f"{value:.4g}" for value in few.tolist())
    if array.ndim == 1 and array.size == len(few):
        return f"[{numbers}]"
    size = " x ".join("varies" if size is None else str(size) for size in spec.shape)
    return f"[{numbers}{', …' if array.size > len(few) else ''}] ({size})"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MOST_LETTERS else line[: _MOST_LETTERS - 1] + "…"
