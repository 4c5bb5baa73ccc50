"""Serialized examples of others, as messages; what is none is refused in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from mlflow_tfconv.data.example_messages import SequenceExample
from mlflow_tfconv.data.image_headers import image_format
from mlflow_tfconv.data.tensor_messages import tensor_found
from mlflow_tfconv.errors import DataError

#: The three kinds of lists that a feature may be.
KINDS = ("bytes_list", "float_list", "int64_list")

_EVENT = b"\x09"  # tag of the time, with which every event of TensorBoard begins


def message_of(record: bytes, where: str) -> Any:
    """A record as a tf.train.SequenceExample; that of a tf.train.Example has only a context.

    The two messages agree in their first field, so that either can be read as the other.

    Raises:
        DataError: It is neither.
    """
    message = SequenceExample()
    try:
        message.ParseFromString(record)
    except (DecodeError, UnicodeDecodeError) as e:
        raise no_example(record, where, str(e)) from e
    if not message.context.feature and not message.feature_lists.feature_list:
        raise no_example(record, where, "a record without features")
    return message


def check_message(message: Any, record: bytes, where: str) -> None:
    """Refuses a foreign message that happens to be readable as an example: for samples.

    Raises:
        DataError: It has fields that no example has.
    """
    features = [*message.context.feature.values()]
    for steps in message.feature_lists.feature_list.values():
        features += steps.feature[:1]
    for part in (message, message.context, message.feature_lists, *features):
        if len(UnknownFieldSet(part)):
            raise no_example(record, where, "another message, with other fields")


def kind_of(feature: Any) -> str | None:
    """Which of `KINDS` it is; None when it says nothing, which counts as missing."""
    kind: str | None = feature.WhichOneof("kind")
    return kind


def features_of(message: Any) -> Mapping[str, Any]:
    """The features of an example, or of the context of a sequence example."""
    features: Mapping[str, Any] = message.context.feature
    return features


def lists_of(message: Any) -> Mapping[str, Any]:
    """The feature lists of a sequence example."""
    lists: Mapping[str, Any] = message.feature_lists.feature_list
    return lists


def no_example(record: bytes, where: str, received: str) -> DataError:
    """The error for a record that is something else."""
    return DataError(
        f"{where} is no tf.train.Example.",
        received=_guess(record) or received,
        expected="serialized tf.train.Example or tf.train.SequenceExample messages",
        fix="Write a generator for these files: `using: custom`.",
    )


def _guess(record: bytes) -> str | None:
    if image_format(record):
        return f"the bytes of a {image_format(record)} image"
    if tensor_found(record) is not None:
        return "a serialized tensor, such as tf.io.serialize_tensor gives"
    if record[:1] == _EVENT:
        return "another message, perhaps an event of TensorBoard"
    if not record:
        return "an empty record"
    try:
        text = record[:60].decode("utf-8")
    except UnicodeDecodeError:
        return None
    return f"text: {text!r}" if text.isprintable() else None
