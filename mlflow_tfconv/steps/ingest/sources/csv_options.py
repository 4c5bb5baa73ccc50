"""What may be asked of a source of the kind `csv`."""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field
from typing import Literal

from mlflow_tfconv.errors import ConfigError

#: What the values of a column may be read as.
ColumnType = Literal["int64", "float32", "bool", "string", "datetime"]

#: What stands for a value that is missing, in columns of numbers, truth values and times.
MISSING_TEXTS = (
    *("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "-NaN", "-nan", "NAN", "null", "NULL"),
    *("None", "#NA", "1.#QNAN", "-1.#IND", "?"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvOptions:
    """How CSV files are read; gzip, bzip2, xz, zstd and lz4 are known by the files' first bytes.

    Attributes:
        delimiter: What stands between values; null takes a tab for .tsv, and otherwise the one of
            comma, semicolon, tab and bar that the first line holds most of.
        quote: Around values that hold delimiters or line breaks; null when there is none.
        escape: Before a character that is meant literally; null when quotes are doubled instead.
        encoding: Of the text, as Python names it.
        header: Whether the first line names the columns; null takes it for names, and is an error
            when it looks like a row of numbers.
        column_names: Names of the columns, in place of the first line's or where it names none.
        skip_lines: Lines to leave out before the first.
        columns: Columns to read, by name or pattern (`pixel*`); null reads all. The label and the
            key are always read. Columns without a name, such as the index that pandas writes, are
            left out.
        ignore: Columns to leave out, by name or pattern.
        types: Column, or pattern, to what its values are, where the sample would not tell;
            "datetime" is an ISO 8601 date or time, which becomes an int64.
        vectors: Feature to the numeric columns that it gathers into one array (columns,), by name
            in the order given or by pattern in natural order. Null gathers all numeric columns into
            the feature `features` when they are more than 32; {} never does.
        missing_texts: What stands for a missing value in columns that are no text.
        missing: Column, or pattern, to what takes the place of a missing value, or to "drop" to
            leave such rows out; "*" is every other column. Without it a float is NaN, a text is
            empty, and anything else, a label or a key is an error.
        decimal: What stands before decimals.
        time_unit: What the int64 of a "datetime" counts, since 1970 in UTC; what is finer is cut.
        sample_rows: Rows, over several files, that the types are inferred from.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    delimiter: str | None = None
    quote: str | None = '"'
    escape: str | None = None
    encoding: str = "utf-8"
    header: bool | None = None
    column_names: tuple[str, ...] | None = None
    skip_lines: int = 0
    columns: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()
    types: dict[str, ColumnType] = field(default_factory=dict)
    vectors: dict[str, str | tuple[str, ...]] | None = None
    missing_texts: tuple[str, ...] = MISSING_TEXTS
    missing: dict[str, bool | int | float | str] = field(default_factory=dict)
    decimal: str = "."
    time_unit: Literal["s", "ms", "us"] = "s"
    sample_rows: int = 10_000

    def __post_init__(self) -> None:
        for name in ("delimiter", "quote", "escape", "decimal"):
            _check_character(name, getattr(self, name))
        try:
            codecs.lookup(self.encoding)
        except LookupError as e:
            raise ConfigError(
                "csv.encoding names no encoding of text.",
                received=repr(self.encoding),
                expected="such as utf-8, latin-1, cp1252, utf-16 or shift_jis",
                fix="Correct ingest.csv.encoding.",
            ) from e
        if self.column_names is not None and len(set(self.column_names)) < len(self.column_names):
            raise ConfigError(
                "csv.column_names names a column twice.",
                received=", ".join(self.column_names),
                fix="Give each column a name of its own.",
            )
        if self.skip_lines < 0 or self.sample_rows < 1:
            raise ConfigError(
                "csv.skip_lines or csv.sample_rows is too small.",
                received=f"skip_lines: {self.skip_lines}, sample_rows: {self.sample_rows}",
                expected="0 or more lines, 1 or more rows",
                fix="Leave them out, or correct them.",
            )


def _check_character(name: str, value: str | None) -> None:
    if value is not None and (len(value) != 1 or not value.isascii() or value in "\r\n"):
        raise ConfigError(
            f"csv.{name} is no single character.",
            received=repr(value),
            expected="one ASCII character such as ',' or ';' or \"\\t\"",
            fix=f"Correct ingest.csv.{name}.",
        )
