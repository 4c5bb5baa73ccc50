"""Lets tf2onnx work on weights that it does not have.

In its graph a held array is a constant whose tensor is only a tag. Where tf2onnx asks for the value
it gets the held array, moves it about as it would an array, and makes a constant of the result.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from mlflow_tfconv.exporters.held_array import HeldArray, held_in_memory

_TAG = "@held:"
Array = np.ndarray[Any, Any]


class HeldTensors:
    """Held arrays and the tags that stand for them in `onnx.TensorProto`s."""

    def __init__(self, large_bytes: int) -> None:
        self._large_bytes = large_bytes
        self._arrays: dict[str, HeldArray] = {}
        self._counter = itertools.count()

    def held(self, tensor: onnx.TensorProto) -> HeldArray | None:
        """The array that a tensor stands for; None when it has its own values."""
        if tensor.data_location != onnx.TensorProto.EXTERNAL or not tensor.external_data:
            return None
        return self._arrays.get(tensor.external_data[0].value)

    def to_array(self, tensor: onnx.TensorProto, *rest: Any) -> Any:
        """What `onnx.numpy_helper.to_array` gives, or the held array."""
        held = self.held(tensor)
        return numpy_helper.to_array(tensor, *rest) if held is None else held

    def from_array(self, array: Any, name: str | None = None) -> onnx.TensorProto:
        """What `onnx.numpy_helper.from_array` gives, or a tag for what is large."""
        if isinstance(array, HeldArray):
            return self._tag(array, name)
        if array.dtype.kind in "fiu" and array.nbytes >= self._large_bytes:
            return self._tag(held_in_memory(array), name)
        return numpy_helper.from_array(array, name)

    def _tag(self, array: HeldArray, name: str | None) -> onnx.TensorProto:
        key = f"{_TAG}{next(self._counter)}"
        self._arrays[key] = array
        dtype = helper.np_dtype_to_tensor_dtype(array.dtype)
        tensor = onnx.TensorProto(dims=array.shape, data_type=dtype, name=name)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=key)
        return tensor


@contextmanager
def held_tensors_used(tensors: HeldTensors) -> Iterator[None]:
    """Lets tf2onnx, and nobody else, make and read tensors in this way."""
    own = SimpleNamespace(
        **{**vars(numpy_helper), "to_array": tensors.to_array, "from_array": tensors.from_array}
    )
    replaced: Mapping[int, Any] = {
        id(numpy_helper): own,
        id(numpy_helper.to_array): tensors.to_array,
        id(numpy_helper.from_array): tensors.from_array,
    }
    places = [
        (module, name, value)
        for module in _modules_of_tf2onnx()
        for name, value in vars(module).items()
        if id(value) in replaced
    ]
    try:
        for module, name, value in places:
            setattr(module, name, replaced[id(value)])
        yield
    finally:
        for module, name, value in places:
            setattr(module, name, value)


def _modules_of_tf2onnx() -> list[ModuleType]:
    names = [name for name in sys.modules if name.split(".")[0] == "tf2onnx"]
    return [sys.modules[name] for name in names]
