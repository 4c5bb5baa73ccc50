"""What becomes of the columns of a table, from what was asked and what they hold."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Protocol, TypeVar

from mlflow_tfconv.data.schema import FeatureSpec
from mlflow_tfconv.errors import ConfigError, DataError
from mlflow_tfconv.steps.ingest.sources.table_columns import (
    NUMERIC,
    Column,
    Kind,
    TablePlan,
    Vector,
)

if TYPE_CHECKING:
    from mlflow_tfconv.steps.ingest.config import FeatureConfig, IngestConfig

#: More numeric columns than these become one feature by themselves.
MOST_SCALARS = 32
_GATHERED = "features"

_SCALAR_KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(("int8", "int16", "int32", "int64", "uint8", "uint16"), "int64"),
    **dict.fromkeys(("float16", "float32"), "float32"),
    "bool": "bool",
    "string": "string",
}
_MAGIC = re.compile(r"[*?\[]")
T = TypeVar("T")


class TableOptions(Protocol):
    """The options that all sources of tables have."""

    @property
    def columns(self) -> tuple[str, ...] | None:
        """Those to read."""

    @property
    def ignore(self) -> tuple[str, ...]:
        """Those to leave out."""

    @property
    def vectors(self) -> Mapping[str, str | tuple[str, ...]] | None:
        """Feature to the columns that it gathers."""

    @property
    def missing(self) -> Mapping[str, bool | int | float | str]:
        """Column to what takes the place of a missing value."""

    @property
    def time_unit(self) -> str:
        """What times count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What recipe.yaml says about a table.

    Attributes:
        options: The options of its kind.
        key_of_options: Where they stand: "csv".
        labels: The label features.
        key: The feature that decides the split.
        features: What was said about features.
    """

    options: TableOptions
    key_of_options: str
    labels: tuple[str, ...]
    key: str | None
    features: Mapping[str, FeatureConfig]

    @classmethod
    def of(cls, config: IngestConfig, options: TableOptions) -> Asked:
        """From the config of the step."""
        return cls(
            options=options,
            key_of_options=config.using,
            labels=config.labels,
            key=config.key,
            features=config.features,
        )

    @property
    def required(self) -> tuple[str, ...]:
        """The features that no row may lack."""
        return (*self.labels, *((self.key,) if self.key else ()))


def table_plan(kinds: Mapping[str, Kind], asked: Asked) -> TablePlan:
    """The plan for a table.

    Args:
        kinds: Column name to what it holds, in the table's order.
        asked: What recipe.yaml says.

    Raises:
        ConfigError: A name or a pattern fits no column, or a type can't be had.
        DataError: The label or the key is no column.
    """
    _check_required(kinds, asked)
    fills = asked.options.missing
    vectors = _vectors(kinds, asked)
    gathered = {name for vector in vectors for name in vector.columns}
    scalars = tuple(name for name in _chosen(kinds, asked) if name not in gathered)
    if not vectors and asked.options.vectors is None and not asked.features:
        vectors, scalars = _gathered_by_itself(scalars, kinds, asked)
        gathered = {name for vector in vectors for name in vector.columns}
    wide = {name for v in vectors if v.dtype == "float64" for name in v.columns}
    columns = {
        name: Column(
            name=name,
            kind=_kind(name, kinds, asked, name in wide),
            missing=said_of(name, fills),
            required=name in asked.required,
        )
        for name in kinds
        if name in scalars or name in gathered
    }
    return TablePlan(
        columns=columns,
        scalars=scalars,
        vectors=vectors,
        given={n: _spec(f) for n, f in asked.features.items() if n in scalars},
        time_unit=asked.options.time_unit,
    )


def matching(patterns: Iterable[str], names: Collection[str], where: str) -> list[str]:
    """The names that patterns fit; those of one pattern in natural order (`p2` before `p10`).

    Raises:
        ConfigError: One fits none.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        if pattern in names:
            fitting = [pattern]
        else:
            magic = bool(_MAGIC.search(pattern))
            fitting = [name for name in names if magic and fnmatchcase(name, pattern)]
        if not fitting:
            raise _no_column(pattern, names, where)
        found |= dict.fromkeys(sorted(fitting, key=_natural))
    return list(found)


def said_of(name: str, said: Mapping[str, T]) -> T | None:
    """What is said of a column: by its name, else by the first pattern that fits, `*` being last."""
    if name in said:
        return said[name]
    patterns = (p for p in said if p != "*" and _MAGIC.search(p) and fnmatchcase(name, p))
    return said.get(next(patterns, "*"))


def _natural(name: str) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def _chosen(kinds: Mapping[str, Kind], asked: Asked) -> list[str]:
    """The columns that become a feature each, unless a vector gathers them, in their order."""
    options, key = asked.options, asked.key_of_options
    if asked.features:
        names = set(asked.features) - set(options.vectors or {})
        wanted = set(matching(sorted(names), kinds, "features"))
    elif options.columns is not None:
        wanted = set(matching(options.columns, kinds, f"{key}.columns"))
    else:
        wanted = set(kinds)
    left_out = set(matching(options.ignore, kinds, f"{key}.ignore"))
    return [name for name in kinds if name in (wanted - left_out) | set(asked.required)]


def _vectors(kinds: Mapping[str, Kind], asked: Asked) -> tuple[Vector, ...]:
    return tuple(
        _vector(name, (said,) if isinstance(said, str) else said, kinds, asked)
        for name, said in (asked.options.vectors or {}).items()
    )


def _vector(
    name: str, patterns: tuple[str, ...], kinds: Mapping[str, Kind], asked: Asked
) -> Vector:
    where = f"{asked.key_of_options}.vectors.{name}"
    left_out = set(matching(asked.options.ignore, kinds, f"{asked.key_of_options}.ignore"))
    names = matching(patterns, kinds, where)
    columns = [
        column
        for column in names
        if column in patterns  # named, and not only fitted by a pattern
        or (kinds[column] in NUMERIC and column not in {*asked.required, *left_out})
    ]
    wrong = [c for c in columns if kinds[c] not in NUMERIC or c in asked.required]
    if wrong or not columns:
        raise ConfigError(
            f"ingest.{where} names columns that can't be gathered into an array.",
            received=", ".join(f"{c}: {kinds[c]}" for c in wrong) or ", ".join(patterns),
            expected="columns of numbers, without the label and the key",
            fix="Leave them out; lists of numbers are arrays already.",
        )
    return _sized(Vector(name=name, columns=tuple(columns), dtype=_dtype(name, asked)), asked)


def _sized(vector: Vector, asked: Asked) -> Vector:
    given = asked.features.get(vector.name)
    if given is not None and given.shape not in ((), (None,), (len(vector.columns),)):
        raise ConfigError(
            f"ingest.features.{vector.name} has another shape than its columns give.",
            received=f"shape: {list(given.shape)}",
            expected=f"[{len(vector.columns)}]",
            fix="Correct or leave out the shape, or the columns.",
        )
    return vector


def _dtype(name: str, asked: Asked) -> str:
    given = asked.features.get(name)
    dtype = "float32" if given is None else given.dtype
    if dtype == "string" or dtype.startswith("complex"):
        raise ConfigError(
            f"ingest.features.{name} can't be of this type: it gathers columns of numbers.",
            received=dtype,
            expected="an integer, float or bool type",
            fix="Correct its dtype.",
        )
    return dtype


def _gathered_by_itself(
    scalars: tuple[str, ...], kinds: Mapping[str, Kind], asked: Asked
) -> tuple[tuple[Vector, ...], tuple[str, ...]]:
    """Many numeric columns are one feature: nobody wants a model with hundreds of inputs."""
    numeric = [n for n in scalars if kinds[n] in NUMERIC and n not in asked.required]
    if len(numeric) <= MOST_SCALARS:
        return (), scalars
    rest = tuple(name for name in scalars if name not in numeric)
    name = _GATHERED
    while name in rest:
        name += "_"
    return (Vector(name=name, columns=tuple(numeric)),), rest


def _kind(name: str, kinds: Mapping[str, Kind], asked: Asked, wide: bool) -> Kind:
    given = asked.features.get(name)
    if wide and kinds[name] == "float32":
        return "float64"
    if given is None or kinds[name] in ("array", "image"):
        return kinds[name]
    if given.dtype not in _SCALAR_KINDS or given.shape != ():
        raise ConfigError(
            f"The column {name!r} can't be read as ingest.features.{name} says.",
            received=f"{given.dtype}, shape {list(given.shape)}",
            expected=f"{', '.join(_SCALAR_KINDS)}; shape []",
            fix=f"Other types are for arrays: name it under {asked.key_of_options}.vectors.",
        )
    time = kinds[name] == "datetime" and given.dtype == "int64"
    return "datetime" if time else _SCALAR_KINDS[given.dtype]


def _spec(given: FeatureConfig) -> FeatureSpec:
    if given.encoding == "image":
        return FeatureSpec(given.dtype, given.shape, encoding="image")
    raw = bool(given.shape) and given.dtype != "string"
    dtype = given.dtype if given.shape else _SCALAR_KINDS.get(given.dtype, given.dtype)
    return FeatureSpec(dtype, given.shape, given.class_names, "raw" if raw else "list")


def _check_required(kinds: Mapping[str, Kind], asked: Asked) -> None:
    vectors = set(asked.options.vectors or {})
    for role, names in (("label", asked.labels), ("key", (asked.key,) if asked.key else ())):
        for name in names:
            if name not in kinds and name not in vectors:
                raise DataError(
                    f"The {role} {name!r} that the recipe names is no column.",
                    received=f"columns: {_few(kinds)}",
                    fix="".join(
                        (*_near(name, kinds), f"Set `ingest.{role}` to one of the columns.")
                    ),
                )


def _no_column(pattern: str, names: Collection[str], where: str) -> ConfigError:
    return ConfigError(
        f"ingest.{where} names a column that is not there.",
        received=repr(pattern),
        expected=f"one of: {_few(names)}",
        fix="".join((*_near(pattern, names), "Correct the name.")),
    )


def _near(name: str, names: Iterable[str]) -> Iterator[str]:
    for near in difflib.get_close_matches(name, list(names), n=1):
        yield f"Did you mean {near!r}? "


def _few(names: Collection[str], most: int = 20) -> str:
    shown = ", ".join(repr(name) for name in list(names)[:most])
    return f"{shown}, ... ({len(names)} in all)" if len(names) > most else shown or "none"
