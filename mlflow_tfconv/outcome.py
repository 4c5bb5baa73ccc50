"""What a run came to, as a person wants to read it: all variants, their verdicts, the choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from mlflow_tfconv.artifacts import Registration, Reports, VariantReport
from mlflow_tfconv.engine.cards import Table
from mlflow_tfconv.engine.store import StoredResult

T = TypeVar("T")

UNSTABLE = "*"

_COLUMNS = (
    ("size MB", "footprint/size_mb", "{:.3f}"),
    ("p50 ms", "latency/p50_ms", "{:.3f}"),
    ("samples/s", "throughput/samples_per_s", "{:,.0f}"),
    ("peak MB", "footprint/host_peak_mb", "{:,.0f}"),
    ("GPU peak MB", "footprint/gpu_peak_mb", "{:,.0f}"),
)


def outcome_table(done: Mapping[str, StoredResult], primary_metric: str) -> Table | None:
    """The table of all variants; None when nothing was measured.

    Columns without any value are left out.
    """
    reports = _noun(done, Reports)
    if reports is None:
        return None
    quality = (primary_metric, f"quality/{primary_metric}", "{:.4f}")
    columns = [c for c in (quality, *_COLUMNS) if any(c[1] in row.metrics for row in reports.rows)]
    registration = _noun(done, Registration)
    return Table(
        columns=("variant", *(name for name, _, _ in columns), "verdict"),
        rows=tuple(_row(row, columns, registration) for row in reports.rows),
    )


def _noun(done: Mapping[str, StoredResult], kind: type[T]) -> T | None:
    return next((r.output for r in done.values() if isinstance(r.output, kind)), None)


def _row(
    row: VariantReport,
    columns: Sequence[tuple[str, str, str]],
    registration: Registration | None,
) -> tuple[str, ...]:
    cells = (_cell(row.metrics.get(metric), form) for _, metric, form in columns)
    return (row.run_name, *cells, _verdict(row, registration))


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def _verdict(row: VariantReport, registration: Registration | None) -> str:
    mark = UNSTABLE if is_unstable(row) else ""
    if row.failure:
        return f"failed: {row.failure}"
    if registration is None:
        return f"measured{mark}"
    missed = registration.verdicts.get(row.run_name, ())
    if row.run_name == registration.run_name:
        return f"registered{mark}"
    return f"missed {'; '.join(missed)}" if missed else f"passed{mark}"


def is_unstable(row: VariantReport) -> bool:
    """Whether the timing of a variant is in doubt; its notes say why."""
    return any("unstable" in note for note in row.notes)


def any_unstable(done: Mapping[str, StoredResult]) -> bool:
    """Whether the table needs the line that explains its mark."""
    reports = _noun(done, Reports)
    return reports is not None and any(is_unstable(row) for row in reports.rows)
