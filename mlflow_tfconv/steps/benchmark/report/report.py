"""The report of a benchmark: as a DataFrame, as JSON, as HTML, as a table to print."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlflow_tfconv.artifacts import Reports, VariantReport
from mlflow_tfconv.engine.cards import Table

if TYPE_CHECKING:
    import pandas as pd

_ORDER = ("quality/", "latency/", "throughput/", "footprint/", "sparsity", "parity/")
_COLUMNS = (
    ("size MB", "footprint/size_mb", "{:,.3g}"),
    ("p50 ms", "latency/p50_ms", "{:,.3g}"),
    ("best samples/s", "throughput/samples_per_s", "{:,.0f}"),
    ("peak MB", "footprint/host_peak_mb", "{:,.0f}"),
    ("above empty MB", "footprint/host_peak_above_baseline_mb", "{:,.1f}"),
    ("GPU MB", "footprint/gpu_peak_mb", "{:,.0f}"),
)
_STYLE = (
    "body{font:14px system-ui,sans-serif;margin:2em}table{border-collapse:collapse}"
    "th,td{padding:.3em .8em;border-bottom:1px solid #ddd;text-align:right}"
    "th:first-child,td:first-child,td:last-child{text-align:left}caption{text-align:left}"
)


@dataclass(frozen=True, slots=True)
class BenchmarkReport:
    """What was measured of every variant.

    Attributes:
        reports: The noun that travels on to `register`.
    """

    reports: Reports

    @property
    def rows(self) -> tuple[VariantReport, ...]:
        """One a variant, with its notes and its failure."""
        return self.reports.rows

    @property
    def environment(self) -> Mapping[str, Any]:
        """Device, threads, versions, processor."""
        return self.reports.environment

    def to_dataframe(self) -> pd.DataFrame:
        """One row a variant (the index), one column a metric; NaN where it was not measured."""
        import pandas as pd

        data = [[row.metrics.get(name) for name in self._names()] for row in self.rows]
        index = pd.Index([row.run_name for row in self.rows], name="variant")
        return pd.DataFrame(data, index=index, columns=self._names(), dtype="float64")

    def to_json(self) -> str:
        """Everything but paths: rows with metrics, notes and failure, and the environment."""
        rows = [
            {
                "run_name": row.run_name,
                "metrics": dict(row.metrics),
                "notes": list(row.notes),
                "failure": row.failure,
            }
            for row in self.rows
        ]
        return json.dumps({"rows": rows, "environment": dict(self.environment)}, indent=1)

    def to_html(self) -> str:
        """A page of its own with the table and the surroundings."""
        table = self.table()
        head = "".join(f"<th>{html.escape(name)}</th>" for name in table.columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>\n"
            for row in table.rows
        )
        return (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Benchmark</title>'
            f"<style>{_STYLE}</style><table><caption>{html.escape(table.caption)}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></html>\n"
        )

    def table(self, primary: str | None = None) -> Table:
        """The table for people: quality, size, latency, throughput, memory, notes.

        Args:
            primary: The quality metric to show, such as "accuracy"; None takes the first there is.
        """
        quality = self._quality(primary)
        shown = [c for c in (*quality, *_COLUMNS) if any(c[1] in row.metrics for row in self.rows)]
        shared = self._shared_notes()
        rows = tuple(
            (row.run_name, *(_cell(row, name, f) for _, name, f in shown), _remarks(row, shared))
            for row in self.rows
        )
        columns = ("variant", *(title for title, _, _ in shown), "notes")
        caption = ". ".join([self._caption(), *(f"Each {note}" for note in shared)])
        return Table(columns=columns, rows=rows, caption=caption)

    def _quality(self, primary: str | None) -> list[tuple[str, str, str]]:
        names = [n for n in self._names() if n.startswith("quality/") and not n.endswith("_drop")]
        own = [name for name in names if name != "quality/agreement"]
        wanted = f"quality/{primary}"
        chosen = wanted if wanted in own else next(iter(own), None)
        columns = [] if chosen is None else [(chosen.removeprefix("quality/"), chosen, "{:.4g}")]
        return [*columns, ("agreement", "quality/agreement", "{:.4g}")]

    def _names(self) -> list[str]:
        """All metric names, in the order of DESIGN's groups and otherwise as they came."""
        found = list(dict.fromkeys(name for row in self.rows for name in row.metrics))
        groups = {
            name: n for n, start in enumerate(_ORDER) for name in found if name.startswith(start)
        }
        return sorted(found, key=lambda name: groups.get(name, len(_ORDER)))

    def _shared_notes(self) -> list[str]:
        """What is true of all that were measured: said once, it leaves room for the numbers."""
        measured = [row.notes for row in self.rows if not row.failure]
        if len(measured) < 2:
            return []
        return [note for note in measured[0] if all(note in notes for notes in measured)]

    def _caption(self) -> str:
        machine = self.environment.get("machine", {})
        return f"On {self.environment.get('device', '?')}: {machine.get('processor', '?')}"


def _cell(row: VariantReport, name: str, form: str) -> str:
    value = row.metrics.get(name)
    return "" if value is None else form.format(value)


def _remarks(row: VariantReport, shared: Sequence[str]) -> str:
    failed = [f"failed: {row.failure.splitlines()[0]}"] if row.failure else []
    short = [note.partition(", because")[0] for note in row.notes if note not in shared]
    return "; ".join([*failed, *short])
