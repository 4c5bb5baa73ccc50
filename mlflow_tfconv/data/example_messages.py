"""tf.train.Example and tf.train.SequenceExample without TensorFlow.

The messages are TensorFlow's own, field by field (tensorflow/core/example/example.proto and
feature.proto), in a pool of their own: TensorFlow registers its own in protobuf's default pool, and
both may live in one process.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_FILE = "mlflow_tfconv/example.proto"
_PACKAGE = "tensorflow"
_FIELD = descriptor_pb2.FieldDescriptorProto


def _list(name: str, kind: int, *, packed: bool) -> Any:
    message = descriptor_pb2.DescriptorProto(name=name)
    field = message.field.add(name="value", number=1, label=_FIELD.LABEL_REPEATED, type=kind)
    if packed:
        field.options.packed = True
    return message


def _feature() -> Any:
    message = descriptor_pb2.DescriptorProto(name="Feature")
    message.oneof_decl.add(name="kind")
    for number, kind in enumerate(("bytes_list", "float_list", "int64_list"), start=1):
        camel = "".join(part.capitalize() for part in kind.split("_"))
        message.field.add(
            name=kind,
            number=number,
            label=_FIELD.LABEL_OPTIONAL,
            type=_FIELD.TYPE_MESSAGE,
            type_name=f".{_PACKAGE}.{camel}",
            oneof_index=0,
        )
    return message


def _holder(name: str, *fields: tuple[str, str], repeated: bool = False) -> Any:
    message = descriptor_pb2.DescriptorProto(name=name)
    label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
    for number, (field, kind) in enumerate(fields, start=1):
        message.field.add(
            name=field,
            number=number,
            label=label,
            type=_FIELD.TYPE_MESSAGE,
            type_name=f".{_PACKAGE}.{kind}",
        )
    return message


def _map(name: str, field: str, value: str) -> Any:
    """A message with one field, a map from text to messages."""
    message = descriptor_pb2.DescriptorProto(name=name)
    entry = "".join(part.capitalize() for part in field.split("_")) + "Entry"
    nested = message.nested_type.add(name=entry)
    nested.options.map_entry = True
    nested.field.add(name="key", number=1, label=_FIELD.LABEL_OPTIONAL, type=_FIELD.TYPE_STRING)
    nested.field.add(
        name="value",
        number=2,
        label=_FIELD.LABEL_OPTIONAL,
        type=_FIELD.TYPE_MESSAGE,
        type_name=f".{_PACKAGE}.{value}",
    )
    message.field.add(
        name=field,
        number=1,
        label=_FIELD.LABEL_REPEATED,
        type=_FIELD.TYPE_MESSAGE,
        type_name=f".{_PACKAGE}.{name}.{entry}",
    )
    return message


def _messages() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name=_FILE, package=_PACKAGE, syntax="proto3")
    file.message_type.extend(
        (
            _list("BytesList", _FIELD.TYPE_BYTES, packed=False),
            _list("FloatList", _FIELD.TYPE_FLOAT, packed=True),
            _list("Int64List", _FIELD.TYPE_INT64, packed=True),
            _feature(),
            _map("Features", "feature", "Feature"),
            _holder("FeatureList", ("feature", "Feature"), repeated=True),
            _map("FeatureLists", "feature_list", "FeatureList"),
            _holder("Example", ("features", "Features")),
            _holder("SequenceExample", ("context", "Features"), ("feature_lists", "FeatureLists")),
        )
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    names = ("BytesList", "FloatList", "Int64List", "Feature", "Example", "SequenceExample")
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in names
    }


_CLASSES = _messages()

#: `Example(features=...)`, with `.features.feature[name]`, a Feature.
Example: Any = _CLASSES["Example"]
#: `.context.feature[name]`, a Feature, and `.feature_lists.feature_list[name].feature`, several.
SequenceExample: Any = _CLASSES["SequenceExample"]
#: Holds one of `.bytes_list`, `.float_list`, `.int64_list`; `WhichOneof("kind")` says which.
Feature: Any = _CLASSES["Feature"]
BytesList: Any = _CLASSES["BytesList"]
FloatList: Any = _CLASSES["FloatList"]
Int64List: Any = _CLASSES["Int64List"]
