"""Which arrays belong together: as features of the same examples, or as rows that follow."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.sources.npy_arrays import StoredArray, fits
from mlflow_tfconv.steps.ingest.split_names import split_of_folder, without_split


@dataclass(frozen=True, slots=True)
class Table:
    """Arrays of the same number of rows.

    Attributes:
        columns: Feature to its array. One of a structured type stands under no name of its own: the
            names of its fields are the features.
        split: What folder or names say.
    """

    columns: Mapping[str, StoredArray]
    split: str | None = None

    @property
    def rows(self) -> int:
        """Number of rows."""
        return next(iter(self.columns.values())).header.rows

    @property
    def row_bytes(self) -> int:
        """Bytes of a row of all arrays."""
        return sum(array.header.row_bytes for array in self.columns.values())

    @property
    def any_rows(self) -> bool:
        """Whether rows can be read without those before them."""
        return all(array.any_rows for array in self.columns.values())

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features, in order."""
        return tuple(
            feature
            for name, array in self.columns.items()
            for feature in (array.header.dtype.names or (name,))
        )

    @property
    def shown(self) -> str:
        """What a person is told."""
        return next(iter(self.columns.values())).shown


def tables_of(arrays: Sequence[StoredArray], wanted: Mapping[str, str]) -> tuple[Table, ...]:
    """The arrays as tables, in the order of their files.

    The arrays of an .npz belong together, and the .npy files of a folder; those of several folders
    too, unless a name comes twice.

    Args:
        arrays: All that were found.
        wanted: Feature to the name or pattern of its arrays; empty takes all.

    Raises:
        DataError: Arrays that belong together have different numbers of rows, or tables different
            features.
    """
    tables = _chosen(arrays, wanted) if wanted else _all(arrays)
    for table in tables:
        _check_rows(table)
        _check_names(table)
    for table in tables[1:]:
        if table.features != tables[0].features:
            raise DataError(
                f"{table.shown} has other features than the arrays before.",
                received=", ".join(table.features),
                expected=f"{', '.join(tables[0].features)}, as {tables[0].shown}",
                fix="Give files of the same arrays, or name them under ingest.npy.arrays.",
            )
    return tuple(table for table in tables if table.rows)


def _all(arrays: Sequence[StoredArray]) -> list[Table]:
    places: dict[str, list[StoredArray]] = defaultdict(list)
    single = [array.name for array in arrays if not array.member]
    apart = len(set(single)) < len(single)  # the same names in several folders: other rows of each
    for array in arrays:
        folder = array.file.url_or_path if array.member else _folder(array) if apart else ""
        places[folder].append(array)
    tables = [table for together in places.values() for table in _by_split(together)]
    if any(table.split for table in tables) or len(tables) < 2:
        return tables
    folders = [_split_folder(table) for table in tables]
    if None in folders or len(set(folders)) < 2:
        return tables
    return [
        dataclasses.replace(table, split=split)
        for table, split in zip(tables, folders, strict=True)
    ]


def _by_split(together: Sequence[StoredArray]) -> list[Table]:
    """One table, or one a split when every name says one."""
    named = [(*without_split(array.name), array) for array in together]
    if any(split is None for _, split, _ in named):
        return [Table({array.name: array for array in together})]
    splits: dict[str | None, dict[str, StoredArray]] = defaultdict(dict)
    for name, split, array in named:
        splits[split][name] = array
    return [Table(columns, split) for split, columns in splits.items()]


def _chosen(arrays: Sequence[StoredArray], wanted: Mapping[str, str]) -> list[Table]:
    """Tables of the wanted arrays: with patterns, the first of each feature together, and so on."""
    found = {
        feature: [array for array in arrays if fits(array.names, (pattern,))]
        for feature, pattern in wanted.items()
    }
    counts = {feature: len(fitting) for feature, fitting in found.items()}
    if len(set(counts.values())) > 1:
        raise DataError(
            "The features of ingest.npy.arrays have different numbers of files.",
            received=", ".join(f"{feature}: {count}" for feature, count in counts.items()),
            expected="for each file of one feature one of every other",
            fix="Make the patterns fit the same parts.",
        )
    names = tuple(found)
    return [Table(dict(zip(names, row, strict=True))) for row in zip(*found.values(), strict=True)]


def _base(array: StoredArray) -> str:
    return PurePosixPath(array.file.name).name


def _folder(array: StoredArray) -> str:
    return array.file.url_or_path[: -len(_base(array))]


def _split_folder(table: Table) -> str | None:
    """The split that the first folder or the file's own name says, of a table from one place."""
    array = next(iter(table.columns.values()))
    parts = PurePosixPath(array.file.name).parts
    if len(parts) > 1:
        return split_of_folder(parts[0])
    stem = PurePosixPath(array.file.name).stem
    return split_of_folder(stem) or without_split(stem)[1]


def _check_rows(table: Table) -> None:
    rows = {name: array.header.rows for name, array in table.columns.items()}
    if len(set(rows.values())) > 1:
        raise DataError(
            f"{table.shown} and the arrays beside it have different numbers of rows.",
            received=", ".join(f"{name}: {count:,}" for name, count in rows.items()),
            expected="a row of each array for every example",
            fix="Name the arrays that belong together under ingest.npy.arrays, or correct them.",
        )


def _check_names(table: Table) -> None:
    twice = [name for name in table.features if table.features.count(name) > 1]
    if twice:
        raise DataError(
            f"{table.shown}: the name {twice[0]!r} stands for two features.",
            received=", ".join(table.features),
            fix="Name the arrays under ingest.npy.arrays.",
        )
