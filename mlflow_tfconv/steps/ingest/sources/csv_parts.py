"""What pyarrow gives of a CSV file: batches of rows, and beside them the rows it can't parse."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


@dataclass(slots=True)
class Part:
    """Rows that stand together, or one that can't be parsed.

    Attributes:
        first: Records before it.
        batch: The rows, parsed.
        invalid: What pyarrow says of the one.
        last: Whether no row of its batch follows.
    """

    first: int
    batch: Any = None
    invalid: Any = None
    last: bool = False

    @property
    def count(self) -> int:
        """How many rows."""
        return 1 if self.invalid is not None else int(self.batch.num_rows)

    def after(self, records: int) -> Part:
        """The part of it that so many records of the file do not include."""
        known = records - self.first
        if known <= 0:
            return self
        return Part(first=records, batch=self.batch.slice(known), last=self.last)

    def breaks(self) -> Any:
        """Line breaks within the values of each row; None when there are none."""
        if self.invalid is not None:
            count = self.invalid.text.count("\n")
            return np.array([count]) if count else None
        total = None
        for column in self.batch.columns:
            if pa.types.is_string(column.type) or pa.types.is_binary(column.type):
                counts = pc.count_substring(column, "\n")
                if pc.any(pc.greater(counts, 0)).as_py():
                    array = counts.to_numpy(zero_copy_only=False)
                    total = array if total is None else total + array
        return total


def batches_of(reader: Any) -> Iterator[tuple[Any, bool]]:
    """Each batch, and whether it is the last; what can be read comes before an error."""
    batch = _next(reader)
    while batch is not None:
        following, error = None, None
        try:
            following = _next(reader)
        except pa.ArrowInvalid as e:
            error = e
        yield batch, following is None and error is None
        if error is not None:
            raise error
        batch = following


def _next(reader: Any) -> Any:
    try:
        return reader.read_next_batch()
    except StopIteration:
        return None


def parts_of(batch: Any, number: int, invalid: deque[Any]) -> Iterator[Part]:
    """The batch, cut where rows stood that could not be parsed.

    Args:
        batch: Rows that could be.
        number: Records before it.
        invalid: Those that could not, in order, maybe some from after the batch; gets shorter.
    """
    taken = 0
    while taken < batch.num_rows:
        until = batch.num_rows - taken
        if invalid:
            until = min(until, invalid[0].number - number - 1)
        if until:
            last = taken + until == batch.num_rows
            yield Part(first=number, batch=batch.slice(taken, until), last=last)
            number, taken = number + until, taken + until
        else:
            yield Part(first=number, invalid=invalid.popleft())
            number += 1


def blank_rows(batch: Any) -> set[int]:
    """Rows without any value."""
    rows: Any = None
    for column in batch.columns:
        if pa.types.is_string(column.type) or pa.types.is_binary(column.type):
            empty = pc.equal(pc.binary_length(column), 0)
        elif column.null_count:
            empty = pc.is_null(column)
        else:
            return set()
        rows = empty if rows is None else pc.and_(rows, empty)
        if not pc.any(rows).as_py():
            return set()
    return set(np.flatnonzero(rows.to_numpy(zero_copy_only=False)).tolist())
