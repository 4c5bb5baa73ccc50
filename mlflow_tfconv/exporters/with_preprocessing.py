"""Puts what goes before a model into it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from mlflow_tfconv.artifacts import Choice, TensorSpec
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.exporters.fold_affine import fold_affine
from mlflow_tfconv.exporters.preprocessing import Step, preprocessing_steps
from mlflow_tfconv.exporters.retraced import adapted_reference, retraced
from mlflow_tfconv.exporters.traced import Traced

Tensors = Mapping[str, Any]


def with_preprocessing(traced: Traced, preprocessing: Any) -> Traced:
    """The model with preprocessing in front, which is then part of every export.

    A scale and an offset become part of the first weights where that changes nothing else (of a
    convolution with padding only the scale does); otherwise they are a Mul and an Add.

    Args:
        traced: The model.
        preprocessing: What `preprocessing_steps` takes; of a model with several inputs also a
            function of `{input: tensor}` that gives such.

    Raises:
        ConfigError: It is not understood.
        ConversionError: The model can't take what it gives.
    """
    if callable(preprocessing) and len(traced.inputs) > 1:
        return _in_front(traced, traced.inputs, preprocessing, "a function")
    steps = preprocessing_steps(preprocessing, traced.inputs)
    changed, folded = traced, list[str]()
    left = dict(steps)
    for name, step in steps.items():
        if step.function is None:
            changed, rest = fold_affine(changed, name, step)
            folded += [name] if rest is not step else []
            left[name] = rest
    inputs = tuple(_taken(spec, steps.get(spec.name)) for spec in traced.inputs)
    specs = {spec.name: spec for spec in traced.inputs}

    def adapt(steps: Mapping[str, Step]) -> Callable[[Tensors], dict[str, Any]]:
        return lambda tensors: {
            name: _applied(steps[name], tensor, specs[name]) if name in steps else tensor
            for name, tensor in tensors.items()
        }

    words = f"{', '.join(steps)}" + (f" ({', '.join(folded)} in the first weights)" * bool(folded))
    result = _in_front(changed, inputs, adapt(left), words)
    # The reference is the model as it was, behind all of it.
    return replace(result, open_reference=adapted_reference(traced, inputs, adapt(steps)))


def _in_front(
    traced: Traced,
    inputs: tuple[TensorSpec, ...],
    adapt: Callable[[Tensors], Tensors],
    words: str,
) -> Traced:
    choice = Choice(
        what="preprocessing",
        chosen=f"part of the model: {words}",
        argument="preprocessing",
        reason="as asked for",
    )
    try:
        return retraced(traced, inputs, adapt=adapt, choices=(*traced.choices, choice))
    except (ValueError, TypeError) as error:
        raise ConversionError(
            "The model can't take what the preprocessing gives.",
            received=str(error).splitlines()[0][:300],
            expected=", ".join(f"{s.name}: {s.dtype} {s.shape}" for s in traced.inputs),
            fix="Let it give tensors of these types and shapes; say what it takes itself with "
            '"dtype" and "shape".',
        ) from error


def _taken(spec: TensorSpec, step: Step | None) -> TensorSpec:
    if step is None:
        return spec
    return replace(spec, dtype=step.dtype or spec.dtype, shape=step.shape or spec.shape)


def _applied(step: Step, tensor: Any, spec: TensorSpec) -> Any:
    if step.function is not None:
        return step.function(tensor)
    tensor = tf.cast(tensor, spec.dtype)
    for operation, values, nothing in ((tf.multiply, step.scale, 1), (tf.add, step.offset, 0)):
        if not np.all(values == nothing):
            tensor = operation(tensor, tf.constant(_by_channel(values, spec), tensor.dtype))
    return tensor


def _by_channel(values: np.ndarray[Any, Any], spec: TensorSpec) -> np.ndarray[Any, Any]:
    """Values for the channels along the axis that has as many: the last, or the second."""
    count = values.size
    if values.ndim == 1 and spec.shape[-1:] != (count,) and spec.shape[1:2] == (count,):
        return values.reshape(-1, *(1 for _ in spec.shape[2:]))
    return values
