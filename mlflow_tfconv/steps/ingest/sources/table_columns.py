"""Which columns of a table become which features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mlflow_tfconv.data.schema import FeatureSpec

#: What the values of a column are. "array" is a list in every row, "image" an encoded image file.
Kind = Literal["int64", "float32", "float64", "bool", "string", "datetime", "array", "image"]

#: Kinds that may be gathered into a vector.
NUMERIC: tuple[Kind, ...] = ("int64", "float32", "float64", "bool")

#: In `missing`: leave the row out.
DROP = "drop"

_DTYPES = {"datetime": "int64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column that is read.

    Attributes:
        name: Its name in the table.
        kind: What its values are.
        missing: What takes the place of a missing value; None when nothing was said.
        required: Whether it is a label or the key, which no row may lack.
    """

    name: str
    kind: Kind
    missing: bool | int | float | str | None = None
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """Numeric columns that become one array.

    Attributes:
        name: The feature.
        columns: Names of the columns, in the order of the array.
        dtype: Of the array.
    """

    name: str
    columns: tuple[str, ...]
    dtype: str = "float32"


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePlan:
    """What becomes of a row.

    Attributes:
        columns: Column name to the column, all that are read.
        scalars: Those that are a feature each.
        vectors: What the others are gathered into.
        given: Feature to what was said about it in recipe.yaml.
        time_unit: What the integers of times count.
    """

    columns: Mapping[str, Column]
    scalars: tuple[str, ...]
    vectors: tuple[Vector, ...] = ()
    given: Mapping[str, FeatureSpec] | None = None
    time_unit: str = "s"

    @property
    def features(self) -> dict[str, FeatureSpec]:
        """What is known of the features, but of arrays, whose shapes the rows show."""
        found = {
            name: FeatureSpec(_DTYPES.get(kind, kind))
            for name in self.scalars
            if (kind := self.columns[name].kind) not in ("array", "image")
        }
        for vector in self.vectors:
            found[vector.name] = FeatureSpec(vector.dtype, (len(vector.columns),), encoding="raw")
        return found | dict(self.given or {})
