"""tf.TensorProto, as `tf.io.serialize_tensor` writes it, without TensorFlow.

The fields are those of tensorflow/core/framework/tensor.proto and tensor_shape.proto, the numbers
of types those of types.proto; in a pool of their own, see `example_messages.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from mlflow_tfconv.data.schema import FeatureSpec

Array = np.ndarray[Any, Any]

_FILE = "mlflow_tfconv/tensor.proto"
_PACKAGE = "tensorflow"
_FIELD = descriptor_pb2.FieldDescriptorProto

#: Number of a type to its name in numpy, of the types that are read.
_DTYPES = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    7: "string",
    8: "complex64",
    9: "int64",
    10: "bool",
    17: "uint16",
    18: "complex128",
    19: "float16",
}
#: The same of types that other parts of a pipeline can't take.
_OTHER_DTYPES = {14: "bfloat16", 22: "uint32", 23: "uint64"}
_NUMBERS = {name: number for number, name in _DTYPES.items()}

#: Such a type to the one that its values are read as: each keeps its value, but for uint64 of
#: 2**63 and more.
READ_AS = {"bfloat16": "float32", "uint32": "int64", "uint64": "int64"}

#: Field of single values to its number, its type and the types of tensors that it holds.
_VALUES = {
    "float_val": (5, _FIELD.TYPE_FLOAT, ("float32",)),
    "double_val": (6, _FIELD.TYPE_DOUBLE, ("float64",)),
    "int_val": (7, _FIELD.TYPE_INT32, ("int32", "int16", "int8", "uint16", "uint8")),
    "string_val": (8, _FIELD.TYPE_BYTES, ("string",)),
    "scomplex_val": (9, _FIELD.TYPE_FLOAT, ("complex64",)),
    "int64_val": (10, _FIELD.TYPE_INT64, ("int64",)),
    "bool_val": (11, _FIELD.TYPE_BOOL, ("bool",)),
    "dcomplex_val": (12, _FIELD.TYPE_DOUBLE, ("complex128",)),
    "half_val": (13, _FIELD.TYPE_INT32, ("float16", "bfloat16")),
    "uint32_val": (16, _FIELD.TYPE_UINT32, ("uint32",)),
    "uint64_val": (17, _FIELD.TYPE_UINT64, ("uint64",)),
}
_FIELD_OF = {dtype: field for field, (_, _, dtypes) in _VALUES.items() for dtype in dtypes}


@dataclass(frozen=True, slots=True)
class TensorFound:
    """A serialized tensor.

    Attributes:
        dtype: A numpy dtype name, or "string".
        shape: Its shape.
        message: The message itself, for `values_of`.
    """

    dtype: str
    shape: tuple[int, ...]
    message: Any


def tensor_found(data: bytes) -> TensorFound | None:
    """The tensor that is serialized in some bytes; None when they are something else.

    Other bytes are not mistaken for one: type, shape and number of elements have to agree.
    """
    if data[:1] != b"\x08":  # the type, which comes first
        return None
    message = _TensorProto()
    try:
        message.ParseFromString(data)
    except DecodeError:
        return None
    dtype = {**_DTYPES, **_OTHER_DTYPES}.get(message.dtype)
    shape = tuple(dim.size for dim in message.tensor_shape.dim)
    if dtype is None or message.tensor_shape.unknown_rank or min(shape, default=0) < 0:
        return None
    if not message.HasField("tensor_shape") or len(UnknownFieldSet(message)):
        return None
    if not _is_filled(message, dtype, math.prod(shape)):
        return None
    return TensorFound(dtype, shape, message)


def values_of(tensor: TensorFound) -> Array:
    """Its elements; of strings an object array of bytes, of others in the type of `READ_AS`.

    Raises:
        ValueError: A number is too large for that type.
    """
    values = _elements(tensor)
    if tensor.dtype not in READ_AS:
        return values
    if tensor.dtype == "bfloat16":  # the upper half of a float32
        return (values.astype(np.uint32) << 16).view(np.float32)
    if tensor.dtype == "uint64" and (values >= 2**63).any():
        raise ValueError(f"the number {values.max()} of a uint64 tensor, beyond int64")
    return values.astype(READ_AS[tensor.dtype])


def _elements(tensor: TensorFound) -> Array:
    """The elements as they are stored; bfloat16 as uint16 of the same bits."""
    dtype = "uint16" if tensor.dtype == "bfloat16" else tensor.dtype
    if tensor.dtype != "string" and tensor.message.tensor_content:
        little = np.dtype(dtype).newbyteorder("<")
        return np.frombuffer(tensor.message.tensor_content, little).reshape(tensor.shape)
    values = list(getattr(tensor.message, _FIELD_OF[tensor.dtype]))
    count = math.prod(tensor.shape)
    if tensor.dtype.startswith("complex"):
        values = [complex(*pair) for pair in zip(values[::2], values[1::2], strict=True)]
    values += values[-1:] * (count - len(values))  # the last one stands for all that follow
    if tensor.dtype == "float16":
        return np.array(values, np.uint16).view(np.float16).reshape(tensor.shape)
    return np.array(values, object if dtype == "string" else dtype).reshape(tensor.shape)


def serialized_head(spec: FeatureSpec) -> bytes:
    """The first bytes of each serialized tensor of a feature of fixed shape, up to the elements.

    TensorFlow writes type, shape and elements in this order; a tensor that was written otherwise
    does not begin with these bytes.
    """
    message = _TensorProto(dtype=_NUMBERS[spec.dtype])
    message.tensor_shape.SetInParent()
    for size in spec.shape:
        message.tensor_shape.dim.add(size=size)
    size_bytes = math.prod(size or 0 for size in spec.shape) * np.dtype(spec.dtype).itemsize
    if not size_bytes:
        return bytes(message.SerializeToString())
    message.tensor_content = b"\0" * size_bytes
    return bytes(message.SerializeToString()[:-size_bytes])


def _is_filled(message: Any, dtype: str, count: int) -> bool:
    if dtype != "string" and message.tensor_content:
        item_bytes = 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize
        return len(message.tensor_content) == count * item_bytes
    values = len(getattr(message, _FIELD_OF[dtype]))
    if dtype.startswith("complex"):
        values //= 2
    return 0 < values <= count or count == values == 0


def _messages() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name=_FILE, package=_PACKAGE, syntax="proto3")
    shape = file.message_type.add(name="TensorShapeProto")
    dim = shape.nested_type.add(name="Dim")
    _field(dim, "size", 1, _FIELD.TYPE_INT64)
    _field(dim, "name", 2, _FIELD.TYPE_STRING)
    _field(shape, "dim", 2, f".{_PACKAGE}.TensorShapeProto.Dim", repeated=True)
    _field(shape, "unknown_rank", 3, _FIELD.TYPE_BOOL)
    tensor = file.message_type.add(name="TensorProto")
    _field(tensor, "dtype", 1, _FIELD.TYPE_INT32)
    _field(tensor, "tensor_shape", 2, f".{_PACKAGE}.TensorShapeProto")
    _field(tensor, "version_number", 3, _FIELD.TYPE_INT32)
    _field(tensor, "tensor_content", 4, _FIELD.TYPE_BYTES)
    for name, (number, kind, _) in _VALUES.items():
        _field(tensor, name, number, kind, repeated=True)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.TensorProto"))


def _field(
    message: Any, name: str, number: int, kind: int | str, *, repeated: bool = False
) -> None:
    label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
    field = message.field.add(name=name, number=number, label=label)
    if isinstance(kind, str):
        field.type, field.type_name = _FIELD.TYPE_MESSAGE, kind
    else:
        field.type = kind


_TensorProto: Any = _messages()
