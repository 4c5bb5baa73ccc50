"""Which variants pass, and which one of them is the best: plain functions of what was measured."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence

from mlflow_tfconv.artifacts import VariantReport
from mlflow_tfconv.errors import ConfigError, GateError
from mlflow_tfconv.steps.register.config import Criterion

#: Names of metrics that are better when they are smaller, but for those that stand below.
_SMALLER_IS_BETTER = re.compile(
    r"(latency|startup|footprint|energy|parity)/.*|server/p\d+_ms|placement/copies|.*_drop"
)
_GREATER_IS_BETTER = ("footprint/largest_batch",)
_SMALLER_IS_BETTER_WORDS = ("loss", "error", "mae", "mse", "rmse", "mape")


def judge(
    rows: Sequence[VariantReport], criteria: Sequence[Criterion], formats: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """What each variant missed, in words and with values; an empty tuple means that it passed.

    A variant that could not be measured, or lacks a metric, misses it.
    """
    return {row.run_name: tuple(_missed(row, criteria, formats)) for row in rows}


def best(
    rows: Sequence[VariantReport], metric: str, *, greater_is_better: bool
) -> VariantReport | None:
    """The variant with the best value, the first among equals; None when none has the metric."""
    sign = -1.0 if greater_is_better else 1.0
    measured = [row for row in rows if row.failure is None and _has(row, metric)]
    return min(measured, key=lambda row: sign * row.metrics[metric], default=None)


def greater_is_better(metric: str, qualities: Mapping[str, bool | None]) -> bool:
    """The direction of a metric, told by its name.

    Args:
        metric: Such as `latency/p50_ms`.
        qualities: The recipe's own metrics and the direction that it gives them, or None.
    """
    kind, _, name = metric.partition("/")
    if kind == "quality" and qualities.get(name) is not None:
        return bool(qualities[name])
    if metric in _GREATER_IS_BETTER:
        return True
    if _SMALLER_IS_BETTER.fullmatch(metric):
        return False
    return not any(word in _SMALLER_IS_BETTER_WORDS for word in name.split("_"))


def check_names(metrics: Sequence[str], rows: Sequence[VariantReport]) -> None:
    """Refuses a metric that no variant has; where nothing was measured there is nothing to compare.

    Raises:
        ConfigError: With the nearest name and all that there are.
    """
    known = sorted({name for row in rows for name in row.metrics})
    for name in metrics:
        if known and name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
            raise ConfigError(
                f"No variant has the metric {name!r}, which the step register asks for.",
                received=name,
                expected=", ".join(known),
                fix=f"Did you mean {near[0]!r}?"
                if near
                else "Use one of those names. Why something was not measured is among the notes: "
                "`mlflow recipes inspect --step benchmark`.",
            )


def nobody_passed(verdicts: Mapping[str, Sequence[str]]) -> GateError:
    """The error that lists what each variant missed."""
    lines = "\n".join(f"    {name}: {'; '.join(missed)}" for name, missed in verdicts.items())
    return GateError(
        "No variant passed the validation criteria; nothing was registered.\n" + lines,
        fix="Improve the model, loosen register.validation_criteria, or set "
        "register.allow_non_validated_model: true.",
    )


def _missed(row: VariantReport, criteria: Sequence[Criterion], formats: Sequence[str]) -> list[str]:
    kind = row.run_name.rpartition("/")[2]
    if kind not in formats:
        return [f"format {kind} is not in register.formats"]
    if row.failure is not None:
        return [f"was not measured: {row.failure}"]
    return [miss for criterion in criteria for miss in _miss(row, criterion)]


def _miss(row: VariantReport, criterion: Criterion) -> list[str]:
    name = criterion.metric
    if not _has(row, name):
        return [f"{name} was not measured"]
    value = row.metrics[name]
    missed = []
    if criterion.min is not None and value < criterion.min:
        missed.append(f"{name} {value:.6g} is below {criterion.min:.6g}")
    if criterion.max is not None and value > criterion.max:
        missed.append(f"{name} {value:.6g} is above {criterion.max:.6g}")
    return missed


def _has(row: VariantReport, metric: str) -> bool:
    """NaN compares with nothing and counts as not measured."""
    return not math.isnan(row.metrics.get(metric, math.nan))
