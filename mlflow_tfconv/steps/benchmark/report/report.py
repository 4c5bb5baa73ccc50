"""The report of a benchmark: as a DataFrame, as JSON, as HTML, as a table to print."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow_tfconv.artifacts import Reports, VariantReport
from mlflow_tfconv.engine.cards import Table
from mlflow_tfconv.steps.benchmark.conditions.verdict import Verdict, judged
from mlflow_tfconv.steps.benchmark.report.standing import details_of
from mlflow_tfconv.steps.benchmark.report.summary_table import summary_table

if TYPE_CHECKING:
    import pandas as pd

_ORDER = (
    *("quality/", "latency/", "throughput/", "server/", "concurrent/", "startup/"),
    *("footprint/", "placement/", "energy/", "sparsity", "parity/"),
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
        """One a variant, with its metrics, intervals, notes and failure."""
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
        """Everything but paths: rows with metrics, intervals, notes and failure; the environment.

        Numbers that JSON lacks are written as "inf", "-inf" and "nan".
        """
        return json.dumps(self.content(), indent=1, allow_nan=False)

    def to_html(self, primary: str | None = None) -> str:
        """A page of its own that needs no other file, for light and dark screens.

        Args:
            primary: The quality metric to show first, such as "accuracy".
        """
        from mlflow_tfconv.steps.benchmark.report.page import page

        return page(self.reports, primary)

    def judged(self, condition: str) -> Verdict:
        """Whether a condition is met, such as `new.latency/p50_ms > 1.05 * old.latency/p50_ms`.

        Raises:
            ConfigError: It can't be understood, or names what was not measured.
            BenchmarkError: A variant that it names could not be measured.
        """
        ratios = {
            row.run_name: details_of(self.reports, row).get("against_reference") or {}
            for row in self.rows
        }
        return judged(condition, self.rows, ratios)

    def content(self) -> dict[str, Any]:
        """What `to_json` writes, as plain values."""
        rows = [
            {
                "run_name": row.run_name,
                "metrics": row.metrics,
                "intervals": row.intervals,
                "notes": row.notes,
                "failure": row.failure,
            }
            for row in self.rows
        ]
        plain: dict[str, Any] = _plain({"rows": rows, "environment": self.environment})
        return plain

    def table(self, primary: str | None = None, width: int | None = None) -> Table:
        """The table for people; each number with a mark that says how it stands.

        Args:
            primary: The quality metric to show, such as "accuracy"; None takes the first there is.
            width: Columns of a terminal; what matters least is left out. None shows all.
        """
        return summary_table(self.reports, primary, width)

    def _names(self) -> list[str]:
        """All metric names, in the order of DESIGN's groups and otherwise as they came."""
        found = list(dict.fromkeys(name for row in self.rows for name in row.metrics))
        groups = {
            name: n for n, start in enumerate(_ORDER) for name in found if name.startswith(start)
        }
        return sorted(found, key=lambda name: groups.get(name, len(_ORDER)))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):  # of numpy
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return str(value) if isinstance(value, Path) else value
