"""Many examples as serialized tf.train.Example, column by column.

The wire format of protobuf is simple: a field is a tag byte, a length as a varint, and the content.
An entry of the map of features stands by itself, so a column gives the entries of all examples at
once: numpy puts what is the same in each beside what differs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from typing import Any

import numpy as np

from mlflow_tfconv.data.columns import Columns, as_list, bytes_of_each, row_at
from mlflow_tfconv.data.example_messages import Example
from mlflow_tfconv.data.examples import serialized_example
from mlflow_tfconv.data.schema import SHAPE_SUFFIX, FeatureSpec
from mlflow_tfconv.data.values import is_text

Array = np.ndarray[Any, Any]

#: The entries of all examples: a matrix (examples, bytes) uint8 where all are of one length.
_Entries = Array | list[bytes]

_FIRST, _SECOND = 0x0A, 0x12  # tags of the fields 1 and 2, such as key and value, of any message
_BYTES, _FLOATS, _INTS = 0x0A, 0x12, 0x1A  # the kinds of a Feature


def serialized_examples(columns: Columns, features: Mapping[str, FeatureSpec]) -> list[bytes]:
    """What `serialized_example` gives for each of the examples, to the byte.

    Args:
        columns: The examples.
        features: What the schema says of them.
    """
    count = len(next(iter(columns.values())))
    entries: dict[bytes, _Entries] = {}
    for name, column in columns.items():
        found = _entries(name, column, features[name])
        if found is None:
            return [serialized_example(row_at(columns, row), features) for row in range(count)]
        entries |= found
    return _messages([entries[key] for key in _order(tuple(entries))], count)


@lru_cache
def _order(keys: tuple[bytes, ...]) -> list[bytes]:
    """The order in which protobuf writes features: it differs between its implementations.

    Each gets a mark that is no part of a name, as it is no text; where the marks stand tells.
    """
    marks = {key: b"\xff\xfe\xff\xfe%08x" % number for number, key in enumerate(keys)}
    example = Example()
    for key, mark in marks.items():
        example.features.feature[key.decode()].bytes_list.value.append(mark)
    data = example.SerializeToString(deterministic=True)
    return sorted(keys, key=lambda key: data.index(marks[key]))


def _entries(name: str, column: Array, spec: FeatureSpec) -> dict[bytes, _Entries] | None:
    """Key to the entries of a column, and of its shapes; None for what is better done singly."""
    key, rank = name.encode(), column.ndim - 1
    if is_text(column):
        return {key: _text_entries(key, column)} if rank == 0 else None
    if spec.encoding == "raw":
        rows = bytes_of_each(column)
        found: dict[bytes, _Entries] = {key: _with_head(_bytes_head(key, rows.shape[1]), rows)}
        if rank > 1:
            shape = _varint_list(column.shape[1:])
            whole = _entry_head(key + SHAPE_SUFFIX.encode(), _INTS, len(shape)) + shape
            found[key + SHAPE_SUFFIX.encode()] = _with_head(whole, rows[:, :0])
        return found
    if spec.encoding != "list":
        return None
    if column.dtype.kind == "f" and column.size:
        rows = bytes_of_each(column.astype("<f4"))
        return {key: _with_head(_entry_head(key, _FLOATS, rows.shape[1]), rows)}
    if column.dtype.kind in "biu" and rank == 0:
        return {key: _int_entries(key, column.astype(np.int64).view(np.uint64))}
    return None


def _messages(entries: list[_Entries], count: int) -> list[bytes]:
    """The examples: their entries one after the other, and before these how long they are."""
    parts = list(_side_by_side(entries))
    if len(parts) == 1 and isinstance(parts[0], np.ndarray):
        head = bytes((_FIRST,)) + _varint(parts[0].shape[1])
        return as_list(_with_head(head, parts[0]))
    lists = [as_list(part) if isinstance(part, np.ndarray) else part for part in parts]
    bodies = map(b"".join, zip(*lists, strict=True))
    heads = _Heads(lambda length: bytes((_FIRST,)) + _varint(length))
    return [heads[len(body)] + body for body in bodies] if count else []


def _side_by_side(entries: list[_Entries]) -> Iterator[_Entries]:
    """The same with matrices that are neighbours as one."""
    some: list[Array] = []
    for one in entries:
        if isinstance(one, np.ndarray):
            some.append(one)
            continue
        if some:
            yield np.hstack(some)
        some = []
        yield one
    if some:
        yield np.hstack(some)


def _with_head(head: bytes, rows: Array) -> Array:
    """Each row with the same bytes before it."""
    whole = np.empty((len(rows), len(head) + rows.shape[1]), np.uint8)
    whole[:, : len(head)] = np.frombuffer(head, np.uint8)
    whole[:, len(head) :] = rows
    return whole


def _text_entries(key: bytes, column: Array) -> list[bytes]:
    heads = _Heads(partial(_bytes_head, key))
    return [heads[len(text)] + text for text in column.tolist()]


def _int_entries(key: bytes, values: Array) -> _Entries:
    """Varints: seven bits a byte, the lowest first, the highest bit set on all but the last."""
    lengths = np.ones(len(values), np.int64)
    for bits in range(7, 64, 7):
        above = values >> np.uint64(bits) != 0
        if not above.any():
            break
        lengths += above
    entries = np.empty(len(values), object)
    for length in np.unique(lengths).tolist():
        those = lengths == length
        shifts = np.arange(length, dtype=np.uint64) * np.uint64(7)
        digits = (values[those, None] >> shifts & np.uint64(0x7F)).astype(np.uint8)
        digits[:, :-1] |= 0x80
        rows = _with_head(_entry_head(key, _INTS, length), digits)
        if len(rows) == len(values):
            return rows
        entries[those] = as_list(rows)
    return list(entries)


class _Heads(dict[int, bytes]):
    """Length to what stands before content of that length, made when it is first asked for."""

    def __init__(self, head: Any) -> None:
        super().__init__()
        self._head = head

    def __missing__(self, length: int) -> bytes:
        head = self[length] = bytes(self._head(length))
        return head


def _bytes_head(key: bytes, length: int) -> bytes:
    """What stands before the one bytes value of a feature."""
    return _entry_head(key, _BYTES, length)


def _entry_head(key: bytes, kind: int, length: int) -> bytes:
    """What stands before so many bytes of values: of one text, or of packed numbers."""
    inner = bytes((_FIRST,)) + _varint(length)
    listed = bytes((kind,)) + _varint(len(inner) + length) + inner
    value = bytes((_SECOND,)) + _varint(len(listed) + length) + listed
    named = bytes((_FIRST,)) + _varint(len(key)) + key + value
    return bytes((_FIRST,)) + _varint(len(named) + length) + named


def _varint_list(values: tuple[int, ...]) -> bytes:
    return b"".join(map(_varint, values))


def _varint(value: int) -> bytes:
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    digits.append(value)
    return bytes(digits)
