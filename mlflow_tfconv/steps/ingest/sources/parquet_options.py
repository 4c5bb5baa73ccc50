"""What may be asked of a source of the kind `parquet`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetOptions:
    """How Parquet files are read.

    Attributes:
        columns: Columns to read, by name or pattern (`pixel*`); null reads all. The label and the
            key are always read. A field of a struct is the column `struct.field`.
        ignore: Columns to leave out, by name or pattern.
        vectors: Feature to the numeric columns that it gathers into one array (columns,), by name
            in the order given or by pattern in natural order. Null gathers all numeric columns into
            the feature `features` when they are more than 32; {} never does.
        missing: Column, or pattern, to what takes the place of a missing value, or to "drop" to
            leave such rows out; "*" is every other column. Without it a float is NaN, a text is
            empty, and anything else, a label or a key is an error.
        time_unit: What the int64 of a date or a time counts, since 1970 in UTC; what is finer is
            cut.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    columns: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()
    vectors: dict[str, str | tuple[str, ...]] | None = None
    missing: dict[str, bool | int | float | str] = field(default_factory=dict)
    time_unit: Literal["s", "ms", "us"] = "s"
