"""What a user wants changed about the model on its way: sizes, preprocessing, layout, precision."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.artifacts import Choice, TensorSpec
from mlflow_tfconv.exporters.made_up_batches import made_up_batches
from mlflow_tfconv.exporters.traced import Traced
from mlflow_tfconv.steps.convert.config import ConvertConfig
from mlflow_tfconv.steps.convert.options import preprocessing_of
from mlflow_tfconv.steps.convert.request import Request
from mlflow_tfconv.steps.convert.samples import DatasetSamples

Batch = Mapping[str, np.ndarray[Any, Any]]


@dataclass(frozen=True, slots=True)
class Changed:
    """The model as it is to be exported.

    Attributes:
        traced: It.
        data_inputs: What it takes before its layout is changed, as a dataset holds images.
        arranged: Gives examples of those in the layout that it takes.
    """

    traced: Traced
    data_inputs: tuple[TensorSpec, ...]
    arranged: Callable[[Batch], Batch]

    def batches(self, request: Request) -> Iterable[Batch]:
        """Examples to compare on."""
        if request.samples is None:
            return made_up_batches(self.traced)
        if isinstance(request.samples, DatasetSamples):
            return map(self.arranged, request.samples.batches(self.data_inputs))
        return request.samples.batches(self.traced.inputs)


def changed(traced: Traced, request: Request) -> Changed:
    """Fixes sizes (of the source's own inputs), then puts preprocessing and layout in front.

    Raises:
        ConfigError: The preprocessing is not understood.
        ConversionError: The model can't be changed so.
    """
    config, preprocessing = request.config, preprocessing_of(request)
    if config.shapes:
        from mlflow_tfconv.exporters.with_shapes import with_shapes

        traced = with_shapes(traced, config.shapes)
    if preprocessing is not None:
        from mlflow_tfconv.exporters.with_preprocessing import with_preprocessing

        traced = with_preprocessing(traced, preprocessing)
    if config.layout is None:
        return _with_choice(Changed(traced, traced.inputs, lambda batch: batch), config)
    from mlflow_tfconv.exporters.with_layout import arranged, with_layout

    laid = with_layout(traced, config.layout)
    found = Changed(laid, traced.inputs, arranged(traced.inputs, config.layout))
    return _with_choice(found, config)


def _with_choice(found: Changed, config: ConvertConfig) -> Changed:
    """Says what the precision means."""
    if config.precision is None:
        return found
    from mlflow_tfconv.exporters.half_onnx import MEANINGS

    choice = Choice(
        what="precision",
        chosen=config.precision,
        alternatives=("float32", *(name for name in MEANINGS if name != config.precision)),
        argument="precision",
        reason=f"as asked for; in the ONNX file {MEANINGS[config.precision]}; in the SavedModel "
        f"weights in {config.precision}, arithmetic in float32",
    )
    traced = replace(found.traced, choices=(*found.traced.choices, choice))
    return replace(found, traced=traced)


def saved_in_precision(traced: Traced, config: ConvertConfig) -> Traced:
    """The model as the SavedModel holds it."""
    if config.precision is None:
        return traced
    from mlflow_tfconv.exporters.with_half_weights import with_half_weights

    return with_half_weights(traced, config.precision)


def onnx_in_precision(path: Path, config: ConvertConfig) -> None:
    """Rewrites the ONNX file."""
    if config.precision is not None:
        from mlflow_tfconv.exporters.half_onnx import half_onnx

        half_onnx(path, config.precision)
