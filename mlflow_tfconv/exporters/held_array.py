"""An array that is not there: its values are read, or computed, each time they are needed.

A converter that moves weights about (transposes a kernel, multiplies it by a scale) gets one of
these instead of an array. What numpy only moves or computes value by value gives another one; the
values themselves come into memory one array at a time, when the file is written.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

Array = np.ndarray[Any, Any]

#: Functions of numpy that give another view of their first argument.
_MOVING = frozenset(
    {
        np.transpose,
        np.reshape,
        np.ravel,
        np.squeeze,
        np.expand_dims,
        np.swapaxes,
        np.moveaxis,
    }
)


class HeldArray(NDArrayOperatorsMixin):
    """Stands for an array of known shape and type.

    numpy functions that it has no lazy answer for get the values and give a plain array.

    Attributes:
        shape: As of an array.
        dtype: As of an array.
        identity: Equal for two that hold the same values for the same reason.
    """

    __slots__ = ("_read", "dtype", "identity", "shape")

    def __init__(
        self, read: Callable[[], Array], shape: tuple[int, ...], dtype: Any, identity: str
    ) -> None:
        self._read = read
        self.shape = tuple(int(size) for size in shape)
        self.dtype = np.dtype(dtype)
        self.identity = identity

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes that its values take."""
        return self.size * int(self.dtype.itemsize)

    @property
    def T(self) -> HeldArray:  # noqa: N802 (numpy's name)
        """Its axes in reverse."""
        return self.transpose()

    def values(self) -> Array:
        """The values, read now.

        Raises:
            ValueError: What is read is not of the shape and type that were promised.
        """
        values = np.asarray(self._read())
        if values.shape != self.shape or values.dtype != self.dtype:
            raise ValueError(
                f"values of shape {list(values.shape)} and type {values.dtype} were read where "
                f"{list(self.shape)} and {self.dtype} were expected"
            )
        return values

    def transpose(self, *axes: Any) -> HeldArray:
        """The same with other axes; takes what numpy's method takes."""
        return self._moved(lambda array: array.transpose(*axes), "transpose", axes)

    def reshape(self, *shape: Any, **order: Any) -> HeldArray:
        """The same in another shape; takes what numpy's method takes."""
        return self._moved(lambda array: array.reshape(*shape, **order), "reshape", shape, order)

    def flatten(self) -> HeldArray:
        """The same in one dimension."""
        return self.reshape(-1)

    def squeeze(self, axis: Any = None) -> HeldArray:
        """The same without dimensions of 1."""
        return self._moved(lambda array: array.squeeze(axis), "squeeze", axis)

    def astype(self, dtype: Any, **_: Any) -> HeldArray:
        """The same as another type."""
        wanted = np.dtype(dtype)
        if wanted == self.dtype:
            return self
        identity = identity_of("astype", str(wanted), self.identity)
        return HeldArray(lambda: self.values().astype(wanted), self.shape, wanted, identity)

    def copy(self) -> HeldArray:
        """Itself, since nothing can change it."""
        return self

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values())

    def __getitem__(self, key: Any) -> Any:
        return self.values()[key]

    def __getattr__(self, name: str) -> Any:
        # Whatever else an array has, such as `tolist` and `max`.
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.values(), name)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.values(), dtype=dtype, copy=copy)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        plain_call = method == "__call__" and not options and ufunc.nout == 1
        if not plain_call or ufunc.signature is not None:
            return getattr(ufunc, method)(*(_plain(value) for value in inputs), **options)
        shape = np.broadcast_shapes(*(np.shape(value) for value in inputs))
        dtype = ufunc(*(_nothing_of(value) for value in inputs)).dtype
        identity = identity_of(ufunc.__name__, *(_identity(value) for value in inputs))
        return HeldArray(
            lambda: np.asarray(ufunc(*(_plain(value) for value in inputs))), shape, dtype, identity
        )

    def __array_function__(self, function: Any, _types: Any, args: Any, options: Any) -> Any:
        if function is np.shape:
            return self.shape
        if function is np.array_equal:
            return _identity(args[0]) == _identity(args[1])
        if function in _MOVING and args and args[0] is self:
            rest = args[1:]
            return self._moved(
                lambda array: function(array, *rest, **options), function.__name__, rest, options
            )
        return function(*_plain(args), **_plain(options))

    def _moved(self, move: Callable[[Array], Array], *what: Any) -> HeldArray:
        # A single value seen as the whole array tells the new shape without taking memory.
        shape = move(np.broadcast_to(np.zeros((), self.dtype), self.shape)).shape
        identity = identity_of(*what, self.identity)
        return HeldArray(lambda: move(self.values()), shape, self.dtype, identity)


def held_in_memory(array: Array) -> HeldArray:
    """One whose values stay in memory."""
    return HeldArray(lambda: array, array.shape, array.dtype, _identity(array))


def identity_of(*parts: Any) -> str:
    """A short text that is the same for the same parts."""
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()


def _identity(value: Any) -> str:
    if isinstance(value, HeldArray):
        return value.identity
    array = np.ascontiguousarray(value)
    content = hashlib.blake2b(array.reshape(-1).view(np.uint8).data).hexdigest()
    return identity_of("values", str(array.dtype), np.shape(value), content)


def _plain(value: Any) -> Any:
    """The same with every held array replaced by its values."""
    if isinstance(value, HeldArray):
        return value.values()
    if isinstance(value, list | tuple):
        return type(value)(_plain(part) for part in value)
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return value


def _nothing_of(value: Any) -> Any:
    """An empty array of the value's type; a Python number stays, for it decides no type."""
    return np.empty(0, value.dtype) if hasattr(value, "dtype") else value
