"""Examples as a caller has them, made into batches that a model takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mlflow_tfconv.arguments import in_short
from mlflow_tfconv.artifacts import TensorSpec
from mlflow_tfconv.errors import ConfigError

Array = np.ndarray[Any, Any]
Batch = dict[str, Array]
#: What a caller may give: batches `{input_name: array}`, one of them, or the array of one input.
Samples = Iterable[Any]

_FORM = "Give an iterable of {input_name: array of shape (batch, ...)}, or one such dict."


def batches_of(
    samples: Samples, inputs: Sequence[TensorSpec], *, what: str = "samples"
) -> Iterator[Batch]:
    """The samples batch by batch, each checked and in the dtypes of the model's inputs.

    A dtype is changed where no value suffers from it: float64 to float32, or int64 to int32 when
    all values fit. Of a tf.data.Dataset of (features, label) the features are taken.

    Args:
        samples: An iterable of `{input_name: array (batch, ...)}`, one such dict, or for a model of
            a single input arrays (batch, ...) or one array.
        inputs: The model's inputs.
        what: What the samples are called in messages, such as "calibration data".

    Raises:
        ConfigError: There are none, or a name, a shape, a dtype or a value does not fit.
    """
    empty = True
    for number, item in enumerate(_items(samples, inputs, what)):
        empty = False
        yield _Fitting(inputs, f"batch {number} of the {what}").batch(item)
    if empty:
        raise ConfigError(
            f"There is not a single example in the {what}.",
            received=in_short(samples),
            expected=_described(inputs),
            fix=_FORM,
        )


def _items(samples: Any, inputs: Sequence[TensorSpec], what: str) -> Iterable[Any]:
    """What is one batch each, as it was given."""
    if isinstance(samples, Mapping) or _is_array(samples):
        return [samples]
    if isinstance(samples, str | bytes) or not isinstance(samples, Iterable):
        raise ConfigError(
            f"The {what} are no batches.",
            received=in_short(samples),
            expected=_described(inputs),
            fix=_FORM,
        )
    if hasattr(samples, "element_spec"):  # a tf.data.Dataset
        pairs = isinstance(samples.element_spec, tuple)
        return (item[0] for item in samples) if pairs else samples
    if isinstance(samples, list | tuple) and samples and _are_examples(samples, inputs):
        return [samples]
    return samples


def _are_examples(items: Sequence[Any], inputs: Sequence[TensorSpec]) -> bool:
    """Whether the items are single examples of one input, or numbers, and not batches."""
    if isinstance(items[0], Mapping) or len(inputs) != 1:
        return False
    return not _is_array(items[0]) or np.ndim(items[0]) == len(inputs[0].shape) - 1


def _is_array(value: Any) -> bool:
    return hasattr(value, "__array__") and hasattr(value, "shape")


class _Fitting:
    """Fits one batch to the inputs of a model; `place` says which one it is."""

    def __init__(self, inputs: Sequence[TensorSpec], place: str) -> None:
        self._inputs, self._place = inputs, place

    def batch(self, given: Any) -> Batch:
        if not isinstance(given, Mapping):
            given = self._named(given)
        if set(given) != {spec.name for spec in self._inputs}:
            raise self._error(
                f"The names in {self._place} are not those of the model's inputs.",
                ", ".join(map(str, given)) or "no names",
                fix=f"{_FORM} In a recipe, say which feature feeds which input: convert.input_map.",
            )
        arrays = {spec.name: self._array(given[spec.name], spec) for spec in self._inputs}
        sizes = {s.name: len(arrays[s.name]) for s in self._inputs if s.shape and not s.shape[0]}
        if len(set(sizes.values())) > 1:
            raise self._error(
                f"The inputs in {self._place} differ in their number of examples.",
                ", ".join(f"{name}: {size}" for name, size in sizes.items()),
            )
        return arrays

    def _named(self, given: Any) -> dict[str, Any]:
        if len(self._inputs) == 1 and (_is_array(given) or isinstance(given, list | tuple)):
            return {self._inputs[0].name: given}
        raise self._error(
            f"It can't be told which inputs {self._place} is for.", in_short(given), _FORM
        )

    def _array(self, given: Any, spec: TensorSpec) -> Array:
        try:
            array = np.asarray(given)
        except (ValueError, TypeError) as error:
            raise self._error(
                f"The input {spec.name!r} in {self._place} is not one array.", str(error)
            ) from error
        self._check_shape(array, spec)
        return self._cast(array, spec)

    def _check_shape(self, array: Array, spec: TensorSpec) -> None:
        unknown = spec.shape in ((), (None,))  # of unknown rank, too
        sizes = zip(array.shape, spec.shape, strict=False)
        fits = unknown or len(array.shape) == len(spec.shape)
        if array.size and fits and all(want in (None, size) for size, want in sizes):
            return
        alone = array.shape == spec.shape[1:] and array.size
        raise self._error(
            f"The input {spec.name!r} in {self._place} has the wrong shape.",
            f"shape {array.shape}" + (", a single example" if alone else ""),
            fix="Put the example into a batch of one: array[None]." if alone else None,
        )

    def _cast(self, array: Array, spec: TensorSpec) -> Array:
        if spec.dtype in ("string", "object"):
            if array.dtype.kind in "OSU":
                return array.astype(object)
        else:
            kept = _kept(array, np.dtype("float32" if spec.dtype == "bfloat16" else spec.dtype))
            if kept is not None:
                return kept
        raise self._error(
            f"The values of the input {spec.name!r} in {self._place} don't fit its type.",
            f"{array.dtype}" + _range(array),
            fix=f"Make them {spec.dtype} yourself, as it was done for training.",
        )

    def _error(self, what: str, received: str, fix: str | None = None) -> ConfigError:
        return ConfigError(what, received=received, expected=_described(self._inputs), fix=fix)


def _kept(array: Array, dtype: np.dtype[Any]) -> Array | None:
    """The array in another dtype, or None when that would change what it says."""
    if array.dtype == dtype:
        return array
    if array.dtype.kind not in "fiub" or not np.can_cast(array.dtype, dtype, casting="same_kind"):
        widened = array.dtype.kind in "iu" and dtype.kind in "iu"
        if not widened:
            return None
    with np.errstate(over="ignore"):
        cast = array.astype(dtype)
    if array.dtype.kind == "f":
        return cast if bool(np.array_equal(np.isfinite(array), np.isfinite(cast))) else None
    return cast if bool(np.array_equal(array, cast)) else None


def _range(array: Array) -> str:
    return f", from {array.min()} to {array.max()}" if array.dtype.kind in "fiu" else ""


def _described(inputs: Sequence[TensorSpec]) -> str:
    return ", ".join(f"{spec.name}: {spec.dtype} {_shape(spec)}" for spec in inputs)


def _shape(spec: TensorSpec) -> str:
    first = spec.shape[:1] and (spec.shape[0] or "batch",)
    return f"({', '.join(str(size or 'any') for size in (*first, *spec.shape[1:]))})"
