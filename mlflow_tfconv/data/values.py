"""A feature's value as a source gives it, made a numpy array of few known types."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from mlflow_tfconv.data.schema import ARRAY_DTYPES, FeatureSpec
from mlflow_tfconv.errors import DataError

_SCALARS = {"b": np.bool_, "i": np.int64, "u": np.int64, "f": np.float32}


def array_of(
    value: Any, feature: str, where: str, *, precise: bool = False
) -> np.ndarray[Any, Any]:
    """The value as an array.

    Scalars become int64, float32, bool or complex of shape (); text and bytes become object arrays
    of bytes; arrays keep their dtype; lists become int64 or float32 arrays.

    Args:
        value: A Python or numpy scalar, text, bytes, an array or what numpy makes one of.
        feature: Its name, for the error.
        where: Which example it is of, for the error.
        precise: Whether a scalar float64 stays one, as where its type was given beforehand.

    Raises:
        DataError: The value has no such form.
    """
    if isinstance(value, str | bytes | np.str_ | np.bytes_):
        return _text(np.array(value, dtype=object))
    if value is None:
        raise _unfit(value, feature, where, fix="Leave such examples out, or give a value.")
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as e:  # a ragged list, an object that is no array
        raise _unfit(value, feature, where) from e
    if array.dtype.kind in "USO":
        if all(isinstance(item, str | bytes) for item in array.flat):
            return _text(array)
        raise _unfit(value, feature, where)
    kept = array.dtype.kind == "c" or (precise and array.dtype == np.float64)
    if array.ndim == 0 and not kept:
        return _scalar(array, feature, where)
    return _numeric(array, precise or not isinstance(value, list | tuple), feature, where)


def like_spec(
    array: np.ndarray[Any, Any], spec: FeatureSpec, feature: str, where: str
) -> np.ndarray[Any, Any]:
    """The array in the type of a feature that was given beforehand.

    Numbers change their type where each keeps its value, floats lose digits at most. The one bytes
    value of an encoded feature ("tensor", "image"), or that of each step, is not looked into.

    Raises:
        DataError: It is of another kind or shape, or a number does not fit the type.
    """
    encoded = spec.encoding in ("tensor", "image")
    if encoded and is_text(array) and array.ndim == int(spec.sequence):
        return array
    if spec.encoding == "image":
        raise _misfit(array, spec, feature, where)
    sizes = zip(spec.shape, array.shape, strict=False)
    if array.ndim != len(spec.shape) or any(a is not None and a != b for a, b in sizes):
        raise _misfit(array, spec, feature, where)
    if dtype_name(array) == spec.dtype:
        return array
    if spec.dtype == "string" or is_text(array):
        raise _misfit(array, spec, feature, where)
    cast = cast_kept(array, np.dtype(spec.dtype))
    if cast is None:
        raise _misfit(array, spec, feature, where)
    return cast


def is_text(array: np.ndarray[Any, Any]) -> bool:
    """Whether the array holds bytes objects."""
    return bool(array.dtype.kind == "O")


def dtype_name(array: np.ndarray[Any, Any]) -> str:
    """The name of its type as a schema writes it."""
    return "string" if is_text(array) else _name(array.dtype)


@cache
def _name(dtype: np.dtype[Any]) -> str:
    """Kept, as numpy puts it together anew each time, which takes longer than all the rest here."""
    return dtype.name


def scalar_type(dtype: np.dtype[Any]) -> type[np.generic] | None:
    """What numbers of shape () become, as TFRecords hold no others; None when they become none."""
    return _SCALARS.get(dtype.kind)


def cast_kept(array: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> np.ndarray[Any, Any] | None:
    """The array in another type, None where that would make other numbers of its own."""
    loses = {"c": "fiub", "f": "iub", "i": "b", "u": "b"}.get(array.dtype.kind, "")
    if dtype.kind in loses:
        return None
    with np.errstate(over="ignore"):
        cast = array.astype(dtype)
    if array.dtype.kind in "fc":
        kept = np.array_equal(np.isfinite(cast), np.isfinite(array))
    else:
        kept = dtype.kind in "fc" or np.array_equal(cast, array)
    return cast if kept else None


def _misfit(array: np.ndarray[Any, Any], spec: FeatureSpec, feature: str, where: str) -> DataError:
    encoded = f"the bytes of one encoded {spec.encoding}"
    wanted = f"{spec.dtype} {spec.shape}".replace("None", "any")
    value = f": {array.tolist()!r:.60}" if array.size == 1 else ""
    return DataError(
        f"{where}: the feature {feature!r} is not what it was given as.",
        received=f"{dtype_name(array)} {array.shape}{value}",
        expected=encoded if spec.encoding in ("tensor", "image") else wanted,
        fix="Correct this value, or what is given of the feature (`ingest.features`).",
    )


def _text(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    text = np.empty(array.shape, dtype=object)
    for index, item in np.ndenumerate(array):
        text[index] = item if isinstance(item, bytes) else str(item).encode()
    return text


def _scalar(array: np.ndarray[Any, Any], feature: str, where: str) -> np.ndarray[Any, Any]:
    kind = scalar_type(array.dtype)
    if kind is None or (array.dtype == np.uint64 and array > 2**63 - 1):
        raise _unfit(array, feature, where)
    return array.astype(kind)


def _numeric(
    array: np.ndarray[Any, Any], keep: bool, feature: str, where: str
) -> np.ndarray[Any, Any]:
    if array.dtype == np.float64 and not keep:
        return array.astype(np.float32)  # Python's numbers have no precision of their own choice
    if _name(array.dtype) not in ARRAY_DTYPES:
        raise _unfit(
            array,
            feature,
            where,
            received=f"an array of {array.dtype}",
            expected=f"an array of {', '.join(ARRAY_DTYPES)} or text",
            fix=f"Convert it, for example with {feature}.astype('float32').",
        )
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")


def _unfit(value: Any, feature: str, where: str, **parts: Any) -> DataError:
    defaults = {
        "received": f"{value!r:.80} ({type(value).__name__})",
        "expected": "a number, text, bytes or an array of numbers",
        "fix": "Convert the value before the generator yields it.",
    }
    return DataError(f"{where}: the feature {feature!r} has an unfit value.", **defaults | parts)
