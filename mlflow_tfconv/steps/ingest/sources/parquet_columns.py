"""The columns of a Parquet file: what they hold, and their values as a kind of few."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mlflow_tfconv.steps.ingest.sources.array_values import element_type, is_list
from mlflow_tfconv.steps.ingest.sources.column_values import arrow_type, converted_each
from mlflow_tfconv.steps.ingest.sources.table_columns import Kind

_INDEX = "__index_level_"  # what pandas writes beside the columns
_IMAGE_FIELDS = {"bytes", "path"}  # how Hugging Face's datasets hold an image


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A column, or a field in a column of structs.

    Attributes:
        path: The names from the column inwards.
        type: Its arrow type, without dictionaries and extensions around it.
        kind: What its values can be read as; None when nothing can be made of them.
    """

    path: tuple[str, ...]
    type: Any
    kind: Kind | None

    @property
    def name(self) -> str:
        """As it is written in recipe.yaml: `struct.field`."""
        return ".".join(self.path)


def leaves_of(schema: Any) -> tuple[Leaf, ...]:
    """All columns of a schema, fields of structs one by one."""
    fields = (field for field in schema if not field.name.startswith(_INDEX))
    return tuple(leaf for field in fields for leaf in _leaves(field, ()))


def class_names_of(schema: Any) -> dict[str, tuple[str, ...]]:
    """The classes of integer columns, as Hugging Face's datasets write them into a file."""
    metadata = (schema.metadata or {}).get(b"huggingface")
    try:
        features = json.loads(metadata or b"{}")["info"]["features"]
        return {
            name: tuple(map(str, feature["names"]))
            for name, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}


def values_at(batch: Any, leaf: Leaf) -> Any:
    """The values of a leaf, without dictionaries and extensions; null where a struct is."""
    array = batch.column(leaf.path[0])
    if len(leaf.path) > 1:
        array = pc.struct_field(_plain(array), list(leaf.path[1:]))
    return _plain(array)


def as_kind(array: Any, kind: Kind) -> tuple[Any, list[int]]:
    """The values as a kind, null where one does not fit, and the places of these."""
    if kind in ("array", "image") or (kind == "string" and _is_text(array.type)):
        return array, []
    if kind == "datetime":
        return _ticks(array), []
    if pa.types.is_decimal(array.type):
        array = array.cast(pa.float64())
    to = arrow_type(kind)
    return (array, []) if array.type == to else converted_each(array, lambda a: pc.cast(a, to))


def _leaves(field: Any, before: tuple[str, ...]) -> Iterator[Leaf]:
    path, kind = (*before, field.name), _plain_type(field.type)
    names = {child.name for child in kind} if pa.types.is_struct(kind) else set()
    if names == _IMAGE_FIELDS and pa.types.is_binary(_plain_type(kind.field("bytes").type)):
        yield Leaf(path=path, type=kind, kind="image")
    elif names:
        for child in kind:
            yield from _leaves(child, path)
    else:
        yield Leaf(path=path, type=kind, kind=_kind(kind))


def _kind(kind: Any) -> Kind | None:
    types = pa.types
    if types.is_integer(kind):
        return "int64"
    if types.is_floating(kind) or types.is_decimal(kind):
        return "float32"
    if types.is_boolean(kind):
        return "bool"
    if _is_text(kind):
        return "string"
    if types.is_temporal(kind) and not types.is_interval(kind):
        return "datetime"
    element = _kind(_plain_type(element_type(kind))) if is_list(kind) else None
    return "array" if element in ("int64", "float32", "bool", "string") else None


def _is_text(kind: Any) -> bool:
    types = pa.types
    tests = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    return any(test(kind) for test in (*tests, types.is_fixed_size_binary))


def _ticks(array: Any) -> Any:
    """Microseconds: since 1970, since midnight for a time of day, or as long as a duration is."""
    kind = array.type
    if pa.types.is_time(kind):
        to = pa.time64("us")
    elif pa.types.is_duration(kind):
        to = pa.duration("us")
    else:
        to = pa.timestamp("us", tz=getattr(kind, "tz", None))
    return pc.cast(pc.cast(array, to, safe=False), pa.int64())


def _plain_type(kind: Any) -> Any:
    if isinstance(kind, pa.BaseExtensionType):
        return _plain_type(kind.storage_type)
    return _plain_type(kind.value_type) if pa.types.is_dictionary(kind) else kind


def _plain(array: Any) -> Any:
    if isinstance(array, pa.ExtensionArray):
        return _plain(array.storage)
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def kinds_of(leaves: tuple[Leaf, ...]) -> Mapping[str, Kind]:
    """Those that can be read, by name."""
    return {leaf.name: leaf.kind for leaf in leaves if leaf.kind is not None}
