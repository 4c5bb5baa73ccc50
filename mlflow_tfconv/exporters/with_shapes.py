"""Fixes sizes of a model's inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mlflow_tfconv.arguments import did_you_mean
from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.exporters.retraced import retraced
from mlflow_tfconv.exporters.traced import Traced

Shape = tuple[int | None, ...]


def with_shapes(traced: Traced, shapes: Mapping[str, Shape]) -> Traced:
    """The model with inputs of these shapes.

    Args:
        traced: The model.
        shapes: Input to its whole shape, the batch included; None where it varies. An input that
            is not named stays as it is.

    Raises:
        ConversionError: There is no such input, or the model can't have it in this shape.
    """
    _require_known(traced, shapes)
    inputs = tuple(
        replace(spec, shape=_shape(spec, shapes[spec.name])) if spec.name in shapes else spec
        for spec in traced.inputs
    )
    if inputs == traced.inputs:
        return traced
    try:
        return retraced(traced, inputs)
    except ValueError as error:
        raise ConversionError(
            "The model can't take inputs of these shapes.",
            received=f"{_words(inputs)}; {str(error).splitlines()[0][:300]}",
            expected=_words(traced.inputs),
            fix="Change `shapes`.",
        ) from error


def _require_known(traced: Traced, shapes: Mapping[str, Shape]) -> None:
    names = [spec.name for spec in traced.inputs]
    for name in shapes:
        if name not in names:
            raise ConversionError(
                f"`shapes` names {name!r}, which is no input of this model.",
                received=", ".join(shapes),
                expected=", ".join(names),
                fix=did_you_mean(name, names),
            )


def _shape(spec: TensorSpec, wanted: Shape) -> Shape:
    shape = tuple(None if size is None else int(size) for size in wanted)
    unknown = spec.shape == (None,)  # of unknown rank, too
    fits = len(shape) == len(spec.shape) and all(
        known in (None, size) for size, known in zip(shape, spec.shape, strict=True)
    )
    if not (fits or unknown):
        raise ConversionError(
            f"The input {spec.name!r} can't have this shape.",
            received=str(shape),
            expected=f"{spec.shape}, where None may be any size; the first is the batch",
            fix="Change `shapes`.",
        )
    return shape


def _words(inputs: tuple[TensorSpec, ...]) -> str:
    return ", ".join(f"{spec.name}: {spec.shape}" for spec in inputs)
