"""The values of a foreign record, as the schema says they are to be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlflow_tfconv.data.image_headers import ImageDamagedError, image_shape
from mlflow_tfconv.data.schema import FeatureSpec
from mlflow_tfconv.data.tensor_messages import tensor_found, values_of
from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.sources.tfrecord_messages import (
    features_of,
    kind_of,
    lists_of,
    message_of,
)

Array = np.ndarray[Any, Any]

_KIND_OF = {"i": "int64_list", "u": "int64_list", "b": "int64_list", "f": "float_list"}
_OTHER_PLACE = {
    True: "a feature of its own, where other records have a feature list",
    False: "a feature list, where other records have a feature of its own",
}
_LIST_DTYPES = {"int64_list": np.int64, "float_list": np.float32}


@dataclass(slots=True)
class Values:
    """What was found in a record.

    Attributes:
        arrays: Feature to its value; of an encoded image the bytes.
        image_shapes: Feature to (height, width, channels) of its image.
    """

    arrays: dict[str, Any] = field(default_factory=dict)
    image_shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)


class RecordReader:
    """Reads records.

    Args:
        features: What to read and what it is.
    """

    def __init__(self, features: Mapping[str, FeatureSpec]) -> None:
        self._features = features
        self._readers = {name: _reader(spec) for name, spec in features.items()}

    def values(self, record: bytes, where: str) -> Values:
        """The values of a record.

        Raises:
            DataError: It is no example, lacks a feature, or a feature does not fit.
        """
        message = message_of(record, where)
        features, lists = features_of(message), lists_of(message)
        found = Values()
        for name, spec in self._features.items():
            try:
                if name in (features if spec.sequence else lists):
                    raise _MisfitError(_OTHER_PLACE[spec.sequence])
                if spec.sequence:
                    steps = lists[name].feature if name in lists else ()
                    found.arrays[name] = self._steps(name, steps, found)
                elif name in features and kind_of(features[name]) is not None:
                    found.arrays[name] = self._readers[name](features[name], found, name)
                else:
                    found.arrays[name] = _missing(spec)
            except (_MisfitError, ImageDamagedError) as e:
                raise self._error(name, spec, str(e), where) from e
        return found

    def _steps(self, name: str, steps: Sequence[Any], found: Values) -> Array:
        """All steps of a list as one array; steps of varying length are padded."""
        spec = self._features[name]
        _check_size(len(steps), spec.shape[0], "steps")
        read = [self._readers[name](step, found, name) for step in steps]
        if spec.encoding == "image" or spec.dtype == "string":
            return _objects(read, spec)
        arrays = [np.asarray(value, spec.dtype) for value in read]
        inner = [max(sizes) for sizes in zip(*(a.shape for a in arrays), strict=True)]
        fixed = [size or 0 for size in spec.shape[1:]]
        whole = np.zeros((len(arrays), *(inner or fixed)), spec.dtype)
        for number, array in enumerate(arrays):
            place: tuple[Any, ...] = (number, *(slice(size) for size in array.shape))
            whole[place] = array
        return whole

    def _error(self, name: str, spec: FeatureSpec, problem: str, where: str) -> DataError:
        wanted = f"{spec.dtype} {spec.shape}".replace("None", "any")
        image = spec.encoding == "image"
        return DataError(
            f"{where}: the feature {name!r} can't be read.",
            received=problem,
            expected=f"a whole image, {wanted}" if image else f"{wanted} ({spec.encoding})",
            fix=f"Mend or leave out this record (`on_error: skip`), or {_advice(name, spec)}.",
        )


def _advice(name: str, spec: FeatureSpec) -> str:
    if spec.encoding == "list" and not spec.varies and not spec.sequence:
        value = "'?'" if spec.dtype == "string" else 0
        return (
            f"give those that lack it a value, such as `ingest.tfrecord.defaults: {{{name}: "
            f"{value}}}`, or say that its length varies: `ingest.features: {{{name}: {{dtype: "
            f"{spec.dtype}, shape: [null]}}}}`"
        )
    free = ["null", *(str(size) if size else "null" for size in spec.shape[1:])]
    how = f", encoding: {spec.encoding}" if spec.encoding in ("tensor", "image") else ""
    text = f"dtype: {spec.dtype}, shape: [{', '.join(free)}]{how}"
    return f"say what the feature is, such as `ingest.features: {{{name}: {{{text}}}}}`"


class _MisfitError(ValueError):
    """Raised when a value is not what the schema says."""


_Read = Callable[[Any, Values, str], Any]


def _reader(spec: FeatureSpec) -> _Read:
    inner = spec.shape[1:] if spec.sequence else spec.shape
    if spec.encoding == "image":
        return lambda feature, found, name: _image(feature, inner, found, name)
    if spec.encoding == "tensor":
        stored = spec.stored_dtype or spec.dtype
        return lambda feature, _, __: _tensor(feature, stored, inner)
    if spec.encoding == "raw":
        little = np.dtype(spec.dtype).newbyteorder("<")
        return lambda feature, _, __: _raw(feature, little, inner)
    if spec.dtype == "string":
        return lambda feature, _, __: _texts(feature, inner)
    kind = _KIND_OF[np.dtype(spec.dtype).kind]
    return lambda feature, _, __: _numbers(feature, kind, inner)


def _numbers(feature: Any, kind: str, shape: tuple[int | None, ...]) -> Array:
    _check_kind(feature, kind)
    values = getattr(feature, kind).value
    if not shape:
        _check_size(len(values), 1, "values")
        return np.array(values[0], _LIST_DTYPES[kind])
    return _shaped(np.array(values, _LIST_DTYPES[kind]), shape, "values")


def _texts(feature: Any, shape: tuple[int | None, ...]) -> Any:
    _check_kind(feature, "bytes_list")
    values = feature.bytes_list.value
    if not shape:
        _check_size(len(values), 1, "values")
        return values[0]
    texts = np.empty(len(values), object)
    texts[:] = list(values)
    return _shaped(texts, shape, "values")


def _raw(feature: Any, dtype: np.dtype[Any], shape: tuple[int | None, ...]) -> Array:
    data = _one(feature)
    if len(data) % dtype.itemsize:
        raise _MisfitError(f"{len(data)} bytes")
    array = np.frombuffer(data, dtype)
    if not shape:
        _check_size(array.size, 1, "elements")
        return array.reshape(())
    return _shaped(array, shape, f"elements in {len(data)} bytes")


def _tensor(feature: Any, dtype: str, shape: tuple[int | None, ...]) -> Array:
    data = _one(feature)
    tensor = tensor_found(data)
    if tensor is None:
        raise _MisfitError(f"{len(data)} bytes that are no serialized tensor")
    sizes = zip(tensor.shape, shape, strict=False)
    fits = len(tensor.shape) == len(shape) and all(b in (a, None) for a, b in sizes)
    if tensor.dtype != dtype or not fits:
        raise _MisfitError(f"a serialized tensor {tensor.dtype} {tensor.shape}")
    try:
        return values_of(tensor)
    except ValueError as e:
        raise _MisfitError(str(e)) from e


def _image(feature: Any, shape: tuple[int | None, ...], found: Values, name: str) -> bytes:
    data = _one(feature)
    size = image_shape(data)
    # Colours are no matter: they are decoded to as many channels as the schema says.
    if any(wanted not in (None, there) for wanted, there in zip(shape[:2], size, strict=False)):
        raise _MisfitError(f"an image of {size[0]} rows and {size[1]} columns")
    found.image_shapes.setdefault(name, size)
    return data


def _one(feature: Any) -> bytes:
    _check_kind(feature, "bytes_list")
    values = feature.bytes_list.value
    _check_size(len(values), 1, "values")
    data: bytes = values[0]
    return data


def _check_kind(feature: Any, kind: str) -> None:
    found = kind_of(feature)
    if found != kind:
        count = len(getattr(feature, found).value) if found else 0
        raise _MisfitError(f"a {found or 'feature without values'} of {count} instead of {kind}")


def _check_size(count: int, wanted: int | None, what: str) -> None:
    if wanted is not None and count != wanted:
        raise _MisfitError(f"{count} {what}")


def _shaped(array: Array, shape: tuple[int | None, ...], what: str) -> Array:
    """The array in its shape, of which the first dimension may vary."""
    if len(shape) == 1:
        _check_size(array.size, shape[0], what)
        return array
    sizes = tuple(-1 if size is None else size for size in shape)
    try:
        return array.reshape(sizes)
    except ValueError as e:
        raise _MisfitError(f"{array.size} {what}") from e


def _missing(spec: FeatureSpec) -> Any:
    """What a record gets that lacks the feature."""
    if spec.default is not None:
        if spec.dtype == "string":
            return np.full(spec.shape, str(spec.default).encode(), object)
        return np.full(spec.shape, spec.default, spec.dtype)
    if spec.encoding == "list" and spec.shape[:1] == (None,):
        shape = (0, *(size or 0 for size in spec.shape[1:]))
        return np.zeros(shape, object if spec.dtype == "string" else spec.dtype)
    raise _MisfitError("a record without it")


def _objects(values: list[Any], spec: FeatureSpec) -> Array:
    """Steps of texts, or of encoded images, as an array of bytes."""
    if spec.encoding == "image" or len(spec.shape) == 1:
        array = np.empty(len(values), object)
        array[:] = values
        return array
    longest = max((len(value) for value in values), default=spec.shape[1] or 0)
    whole = np.full((len(values), longest), b"", object)
    for number, value in enumerate(values):
        whole[number, : len(value)] = value
    return whole
