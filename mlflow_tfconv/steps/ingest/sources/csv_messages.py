"""What was inferred, said in a form that recipe.yaml takes."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from mlflow_tfconv.engine.events import Emit, Message
from mlflow_tfconv.steps.ingest.config import IngestConfig
from mlflow_tfconv.steps.ingest.sources.csv_sample import Sample
from mlflow_tfconv.steps.ingest.sources.table_columns import NUMERIC, TablePlan

_FEW = 10


def tell_types(sample: Sample, plan: TablePlan, config: IngestConfig, emit: Emit) -> None:
    """The types, and what in the sample is worth a look."""
    if not config.features:
        rows = f"{sample.rows:,} rows of {sample.files} file{'s' * (sample.files != 1)}"
        text = f"Types inferred from {rows}; to keep them, put this under `ingest`:\n"
        emit(Message(text=text + pasteable(plan)))
    for text in _warnings(sample, plan):
        emit(Message(text=text, level="warning"))


def pasteable(plan: TablePlan) -> str:
    """The plan as YAML."""
    features: dict[str, dict[str, object]] = {
        name: {"dtype": spec.dtype} for name, spec in plan.features.items()
    }
    found: dict[str, object] = {"features": features}
    options: dict[str, object] = {}
    times = {name: "datetime" for name, c in plan.columns.items() if c.kind == "datetime"}
    if times:
        options["types"] = times
    if plan.vectors:
        options["vectors"] = {vector.name: list(vector.columns) for vector in plan.vectors}
    if options:
        found["csv"] = options
    return yaml.safe_dump(
        found, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100
    ).rstrip()


def _warnings(sample: Sample, plan: TablePlan) -> Iterator[str]:
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
    odd = [
        f"{name} ({seen.odd:,} of {seen.values:,} values, such as {seen.example!r:.40})"
        for name, seen in sample.columns.items()
        if seen.odd and name in plan.columns and plan.columns[name].kind in NUMERIC[:3]
    ]
    if odd:
        yield (
            f"Read as numbers, although a few values are none: {_few(odd)}. Their rows are errors; "
            "`csv.types: {COLUMN: string}` makes the column text."
        )
    gaps = [
        f"{name} ({sample.columns[name].missing / max(sample.rows, 1):.1%})"
        for name, column in plan.columns.items()
        if name in sample.columns
        and sample.columns[name].missing
        and column.missing is None
        and column.kind in ("float32", "float64")
    ]
    if gaps:
        yield (
            f"Values are missing, which will be NaN: {_few(gaps)}. `csv.missing` fills them or "
            "drops their rows."
        )


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
    return ", ".join(names[:_FEW]) + more
