"""What was inferred, said in a form that recipe.yaml takes; and what in a sample is worth a look."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby

import yaml

from mlflow_tfconv.engine.events import Emit, Message
from mlflow_tfconv.steps.ingest.sources.column_values import ColumnSample
from mlflow_tfconv.steps.ingest.sources.csv_sample import Sample
from mlflow_tfconv.steps.ingest.sources.table_columns import DROP, NUMERIC, TablePlan

_FEW = 10
_MOST_PASTED = 60


def tell_types(sample: Sample, plan: TablePlan, emit: Emit) -> None:
    """The types of the columns."""
    rows = f"{sample.rows:,} rows of {sample.files} file{'s' * (sample.files != 1)}"
    if len(plan.columns) > _MOST_PASTED:
        text = f"Types inferred from {rows}; `csv.types` says others:\n{_in_runs(plan)}"
    else:
        text = f"Types inferred from {rows}; to keep them, put this under `ingest`:\n"
        text += pasteable(plan)
    emit(Message(text=text))


def warn_of(sample: Sample, plan: TablePlan, labels: tuple[str, ...], emit: Emit) -> None:
    """Warns of what is likely to be meant otherwise."""
    for text in (*_of_the_file(sample), *_of_columns(sample, plan, labels)):
        emit(Message(text=text, level="warning"))


def pasteable(plan: TablePlan) -> str:
    """The plan as YAML."""
    options: dict[str, object] = {
        "types": {
            name: "float32" if column.kind == "float64" else str(column.kind)
            for name, column in plan.columns.items()
        }
    }
    if plan.vectors:
        options["vectors"] = {vector.name: list(vector.columns) for vector in plan.vectors}
    return yaml.safe_dump(
        {"csv": options}, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100
    ).rstrip()


def _in_runs(plan: TablePlan) -> str:
    """The types of many columns: those that follow one another with the same in one line."""
    names = {name: vector.name for vector in plan.vectors for name in vector.columns}
    lines = []
    for (kind, vector), run in groupby(
        plan.columns.values(), key=lambda column: (column.kind, names.get(column.name))
    ):
        found = [column.name for column in run]
        several = f" to {found[-1]} ({len(found):,} columns)" if len(found) > 1 else ""
        lines.append(f"  {found[0]}{several}: {kind}{f', gathered in {vector}' if vector else ''}")
    more = len(lines) - _MOST_PASTED
    shown = lines[:_MOST_PASTED] + ([f"  and {more:,} more lines"] if more > 0 else [])
    return "\n".join(shown)


def _of_the_file(sample: Sample) -> Iterator[str]:
    numbers = [name for name in sample.names if _is_number(name)]
    if numbers and numbers != [str(n) for n in range(len(sample.names))]:
        yield (
            f"Columns have numbers for names: {_few(numbers)}. If the first line is a row already: "
            "`csv: {header: false}`."
        )
    if len(sample.names) == 1 and any(c in sample.names[0].strip() for c in " :/^~"):
        yield (
            f"There is only one column, {sample.names[0]!r:.60}. If it is several: "
            "`csv: {delimiter: ...}`."
        )
    if sample.stray_quote:
        yield (
            f"{sample.stray_quote}: a quote is closed, and more text follows it. If quotes are "
            "characters like others in these files: `csv: {quote: null}`; rows may run into one "
            "another otherwise."
        )


def _of_columns(sample: Sample, plan: TablePlan, labels: tuple[str, ...]) -> Iterator[str]:
    def those(fits: Callable[[str, ColumnSample, str], bool]) -> list[str]:
        return [
            name
            for name, column in plan.columns.items()
            if name in sample.columns and fits(name, sample.columns[name], column.kind)
        ]

    empty = [
        name
        for name, seen in sample.columns.items()
        if seen.kind is None and name not in plan.columns
    ]
    if empty:
        yield (
            f"Left out, as they have no value in the first rows: {_few(empty)}. Their types under "
            "`csv.types` would have them read."
        )
    if odd := those(lambda _, seen, kind: seen.odd > 0 and kind in NUMERIC[:3]):
        yield (
            f"Read as numbers, although a few values are none: {_few(odd, sample, ' of ')}. Their "
            "rows are errors; `csv.types: {COLUMN: string}` makes the column text."
        )
    if commas := those(lambda _, seen, kind: kind == "string" and seen.commas * 2 > seen.values):
        yield (
            f"Read as text, because of commas in numbers: {_few(commas, sample)}. Where a comma "
            'stands before decimals: `csv: {decimal: ","}`; those between thousands must go.'
        )
    if huge := those(lambda _, seen, kind: kind == seen.numbers == "string" and not seen.odd):
        yield f"Read as text, as the numbers are too large for an int64: {_few(huge, sample)}."
    if zeros := those(lambda _, seen, kind: seen.zeros > 0 and kind == "int64"):
        yield (
            f"Numbers that begin with 0 lose it: {_few(zeros)}. If they are codes: "
            "`csv.types: {COLUMN: string}`."
        )
    if whole := those(lambda name, seen, kind: name in labels and seen.whole and kind == "float32"):
        yield (
            f"The label is a float, although its values are whole: {_few(whole)}. "
            "If they are classes: `csv.types: {COLUMN: int64}`."
        )
    if drops := those(
        lambda name, seen, _: seen.missing > 0 and plan.columns[name].missing == DROP
    ):
        yield (
            "Rows without a value are left out, as `csv.missing` says: "
            f"{_few(_shares(drops, sample))} of the first rows."
        )
    gaps = those(
        lambda name, seen, kind: (
            seen.missing > 0
            and kind in ("float32", "float64")
            and not plan.columns[name].required
            and plan.columns[name].missing is None
        )
    )
    if gaps:
        yield (
            f"Values are missing, which will be NaN: {_few(_shares(gaps, sample))}. `csv.missing` "
            "fills them or drops their rows."
        )


def _shares(names: list[str], sample: Sample) -> list[str]:
    return [f"{n} ({sample.columns[n].missing / max(sample.rows, 1):.1%})" for n in names]


def _is_number(name: str) -> bool:
    return name.replace(".", "", 1).lstrip("+-").isdecimal()


def _few(names: list[str], sample: Sample | None = None, of: str = "") -> str:
    """The first names, if asked with an odd value of each and how many there are."""
    more = f" and {len(names) - _FEW:,} more" if len(names) > _FEW else ""
    shown = names[:_FEW]
    if sample is not None:
        seen = [sample.columns[name] for name in shown]
        counts = [f"{one.odd:,}{of}{one.values:,} values, " * bool(of) for one in seen]
        shown = [
            f"{name} ({count}such as {one.example!r:.40})"
            for name, count, one in zip(shown, counts, seen, strict=True)
        ]
    return ", ".join(shown) + more
