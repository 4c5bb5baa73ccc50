"""A picture of some examples."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mlflow_tfconv.data.schema import FeatureSpec, Schema
from mlflow_tfconv.steps.ingest.statistics import Statistics

_COLUMNS = 8
_CELL_INCHES = (1.1, 1.3)
_LEAST_PIXELS = 4


def image_feature(schema: Schema) -> str | None:
    """The first input that looks like an image, see `is_image`."""
    return next((name for name, spec in schema.inputs.items() if is_image(spec)), None)


def shape_text(spec: FeatureSpec) -> str:
    """A feature's shape in words."""
    return " x ".join("varies" if size is None else str(size) for size in spec.shape) or "scalar"


def draw_sample_grid(schema: Schema, statistics: Statistics, feature: str, path: Path) -> None:
    """Writes a PNG of the sampled examples' images, each under its label."""
    samples = [sample for sample in statistics.samples if sample[feature].size]
    rows = max(1, -(-len(samples) // _COLUMNS))
    width, height = _COLUMNS * _CELL_INCHES[0], rows * _CELL_INCHES[1]
    figure = Figure(figsize=(width, height), dpi=100)
    FigureCanvasAgg(figure)
    # One pair of axes, measured in inches: a pair for each image takes ten times as long.
    axes = figure.add_axes((0, 0, 1, 1))
    for position, sample in enumerate(samples):
        image = _shown(sample[feature], statistics, feature)
        left, right, _, top = extent = _place(position, image.shape)
        axes.imshow(image, cmap="gray", vmin=0, vmax=1, extent=extent)
        label, middle = label_text(schema, sample), (left + right) / 2
        axes.text(middle, top - 0.05, label, ha="center", fontsize=8, parse_math=False)
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="auto")
    axes.set_axis_off()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # letters that the font lacks become boxes
        figure.savefig(path)


def _place(position: int, shape: tuple[int, ...]) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of an image, in inches from the left and from the top."""
    row, column = divmod(position, _COLUMNS)
    middle, bottom = (column + 0.5) * _CELL_INCHES[0], (row + 1) * _CELL_INCHES[1] - 0.05
    inches = 1.0 / max(shape[:2])  # a pixel's size: the longer side takes an inch
    half = shape[1] * inches / 2
    return middle - half, middle + half, bottom, bottom - shape[0] * inches


def label_text(schema: Schema, sample: dict[str, np.ndarray[Any, Any]]) -> str:
    """The labels of an example in words; empty when they are more than a few values."""
    texts = [
        value_text(spec, sample[name].item())
        for name, spec in schema.labels.items()
        if sample[name].size == 1
    ]
    return ", ".join(texts)[:20]


def value_text(spec: FeatureSpec, value: Any) -> str:
    """A label's value in words."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if spec.class_names is not None and not isinstance(value, float):
        return spec.class_names[int(value)]
    return f"{value:g}" if isinstance(value, float) else str(value)


def is_image(spec: FeatureSpec) -> bool:
    """Whether it looks like one: (height, width), with 1, 3 or 4 channels, or several as a clip."""
    gray = len(spec.shape) == 2
    color = len(spec.shape) in (3, 4) and spec.shape[-1] in (1, 3, 4)
    sides = spec.shape if gray else spec.shape[-3:-1]
    large = all(size is None or size >= _LEAST_PIXELS for size in sides)
    return (gray or color) and large and spec.dtype != "string" and "complex" not in spec.dtype


def _shown(
    array: np.ndarray[Any, Any], statistics: Statistics, feature: str
) -> np.ndarray[Any, Any]:
    """Values between 0 and 1, on one scale for all examples."""
    if array.dtype == np.uint8:
        return array / np.float32(255)
    known = statistics.features[feature]
    width = (known.high - known.low) or 1.0
    return np.clip(np.nan_to_num((array.astype(np.float64) - known.low) / width), 0, 1)
