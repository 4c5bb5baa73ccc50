"""Protobuf's text form of a graph, also of a big one."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from google.protobuf import text_format

#: Below, Python's own parser is quick enough, and knows fields that TensorFlow has no more.
_BIG = 4_000_000


def message_from_text(text: str, kind: type[Any]) -> Any:
    """The message that a text writes out.

    Args:
        text: The text.
        kind: The message's class, `GraphDef` or `MetaGraphDef`.

    Raises:
        ValueError: The text is not of this kind, or cut off; tells the line where it can.
    """
    if len(text) > _BIG:
        message = _by_tensorflow(text, kind)
        if message is not None:
            return message
    try:
        return text_format.Parse(text, kind(), allow_unknown_field=True)
    except text_format.ParseError as error:
        raise ValueError(str(error)[:300]) from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _by_tensorflow(text: str, kind: type[Any]) -> Any:
    """TensorFlow's parser is ten times as fast as Python's; None where it refuses the text.

    It gives the fields of the message one by one, each as protobuf's bytes.
    """
    fields = [field for field in kind.DESCRIPTOR.fields if field.message_type is not None]
    try:
        decoded = tf.io.decode_proto(
            bytes=[text],
            message_type=kind.DESCRIPTOR.full_name,
            field_names=[field.name for field in fields],
            output_types=[tf.string] * len(fields),
            message_format="text",
        )
    except tf.errors.OpError:
        return None
    message = kind()
    for column, field in enumerate(fields):
        count = int(decoded.sizes[0, column])
        for value in decoded.values[column].numpy()[0, :count]:
            message.MergeFromString(_field(field.number, value))
    return message


def _field(number: int, value: bytes) -> bytes:
    """A field of a message in protobuf's bytes: its number and kind, its length, its content."""
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    digits = []
    while value > 127:
        digits.append(value & 127 | 128)
        value >>= 7
    return bytes([*digits, value])
