"""Whether a condition is met by what was measured."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from mlflow_tfconv.arguments import did_you_mean
from mlflow_tfconv.artifacts import VariantReport
from mlflow_tfconv.errors import BenchmarkError, ConfigError
from mlflow_tfconv.steps.benchmark.conditions.grammar import (
    Chain,
    Negative,
    Node,
    Not,
    Number,
    Reference,
    parsed,
    references,
)
from mlflow_tfconv.steps.benchmark.conditions.tokens import mistake

_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_CALCULATE: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
_BOUNDS = (".low", ".high")
#: What may stand behind a metric that was timed beside the reference.
_RATIOS = {".ratio.low": "low", ".ratio.high": "high", ".ratio": "ratio"}
#: Run name to metric to `ratio`, `low` and `high` against the reference.
Ratios = Mapping[str, Mapping[str, Mapping[str, Any]]]
#: What a metric that is missing needs to be measured: the first pattern that it matches.
_NEEDS = (
    (
        r".*\.ratio(\.low|\.high)?",
        "A ratio has what was timed in turn with the reference (latency, throughput), "
        "and not the reference itself.",
    ),
    (r".*/p90_ms.*", "A p90 needs 10 timings: raise min_count, or give more time."),
    (r".*/p95_ms.*", "A p95 needs 20 timings: raise min_count, or give more time."),
    (r".*/p99_ms.*", "A p99 needs 100 timings: raise min_count, or give more time."),
    (r"(latency|throughput)/.*_b\d+", "Give this batch size, too."),
    (
        r"server/.*",
        "Ask for the scenario `server`; if it was asked for, a note says why there is no number.",
    ),
    (r"concurrent/.*", "Ask for the scenario `concurrent`."),
    (r"throughput/best_batch", "Ask for the scenario `offline`."),
    (r"footprint/gpu.*|energy/.*", "Measure on a GPU: device `cuda:0`."),
    (r"footprint/largest_batch", "Give a budget: memory.budget_mb."),
    (r"quality/agreement.*", "Give samples."),
    (r"quality/.*", "Give samples and labels, and name the metric."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a condition is met.

    Attributes:
        condition: As it was given.
        met: Whether it holds.
        values: `variant.metric` as written in the condition to its value.
    """

    condition: str
    met: bool
    values: Mapping[str, float]

    def __str__(self) -> str:
        """The condition, the verdict, and the values that it rests on."""
        values = ", ".join(f"{name} = {value:.6g}" for name, value in self.values.items())
        return f"{self.condition}: {'met' if self.met else 'not met'} ({values})"


def judged(
    condition: str, rows: Sequence[VariantReport], ratios: Ratios = MappingProxyType({})
) -> Verdict:
    """Whether a condition is met by what was measured.

    Every metric that the condition names has to be there, also behind an `or` that is decided.

    Args:
        condition: See `grammar`; `.low` and `.high` behind a metric are the bounds of its interval,
            `.ratio` is what it is against the reference, round by round, with bounds of its own:
            `.ratio.low` and `.ratio.high`.
        rows: What was measured.
        ratios: What was found round by round.

    Raises:
        ConfigError: It can't be understood, names what is not there, or meets NaN.
        BenchmarkError: A variant that it names could not be measured.
    """
    tree = parsed(condition)
    values = {r.parts: _value(r, condition, rows, ratios) for r in references(tree)}
    met = _Calculation(condition, values).truth(tree)
    named = {".".join(parts): value for parts, value in values.items()}
    return Verdict(condition=condition, met=met, values=named)


def check(condition: str, names: Iterable[str]) -> None:
    """Makes sure that a condition can be understood and names variants that will be measured.

    Args:
        condition: See `grammar`.
        names: The names of the models, with or without their format.

    Raises:
        ConfigError: It can't be understood, or names another variant.
    """
    rows = [VariantReport(run_name=name) for name in names]
    for reference in references(parsed(condition)):
        _split(reference, condition, rows)


@dataclass(frozen=True, slots=True)
class _Calculation:
    condition: str
    values: Mapping[tuple[str, ...], float]

    def truth(self, node: Node) -> bool:
        if isinstance(node, Not):
            return not self.truth(node.of)
        if not isinstance(node, Chain):
            raise TypeError(node)  # the grammar lets no number come here
        sign, _, right = node.rest[0]
        if sign in _COMPARE:
            return _COMPARE[sign](self._finite(node.first), self._finite(right))
        operands = [node.first, *(operand for _, _, operand in node.rest)]
        truths = [self.truth(operand) for operand in operands]  # all: none may hide a NaN
        return all(truths) if sign == "and" else any(truths)

    def _finite(self, node: Node) -> float:
        """A side of a comparison: infinite may be, NaN would make each comparison false."""
        value = self._number(node)
        if math.isnan(value):
            raise mistake(
                "this is not a number (NaN).", self.condition, node.at, self._where_nan(node)
            )
        return value

    def _number(self, node: Node) -> float:
        if isinstance(node, Number):
            return node.value
        if isinstance(node, Reference):
            return self.values[node.parts]
        if isinstance(node, Negative):
            return -self._number(node.of)
        if not isinstance(node, Chain):
            raise TypeError(node)
        value = self._number(node.first)
        for sign, at, operand in node.rest:
            right = self._number(operand)
            if sign == "/" and right == 0:
                raise mistake("this divides by zero.", self.condition, at)
            value = _CALCULATE[sign](value, right)
        return value

    def _where_nan(self, node: Node) -> str | None:
        named = [".".join(r.parts) for r in references(node) if math.isnan(self.values[r.parts])]
        return f"Look at what gives NaN: {', '.join(named)}." if named else None


def _value(
    reference: Reference, condition: str, rows: Sequence[VariantReport], ratios: Ratios
) -> float:
    row, metric = _split(reference, condition, rows)
    if metric in row.metrics:
        return float(row.metrics[metric])
    known = ratios.get(row.run_name, {})
    for end, kind in _RATIOS.items():
        whole = metric.removesuffix(end)
        if metric != whole and whole in known:
            return float(known[whole][kind])
    for place, end in enumerate(_BOUNDS):
        whole = metric.removesuffix(end)
        if metric != whole and whole in row.intervals:
            return float(row.intervals[whole][place])
    if row.failure is not None:
        raise BenchmarkError(
            f"The condition can't be judged: {row.run_name} could not be measured.",
            received=f"{condition}; {row.failure.splitlines()[0]}",
            expected=f"{metric} of {row.run_name}",
        )
    ends = [name + end for name in known for end in _RATIOS]
    raise _no_metric(reference, condition, row, metric, ends)


def _split(
    reference: Reference, condition: str, rows: Sequence[VariantReport]
) -> tuple[VariantReport, str]:
    """The variant that is meant, and the name of the metric."""
    splits = _splits(reference.parts)
    found = [(row, metric) for name, metric in splits for row in _named(name, rows)]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(dict.fromkeys(row.run_name for row, _ in found))
        raise mistake(
            "several variants have this name.",
            condition,
            reference.at,
            f'Write the format, too: "{found[0][0].run_name}".{found[0][1]}',
            expected=f"one of {names}",
        )
    known = list(dict.fromkeys(n for row in rows for n in (_short(row), row.run_name)))
    raise mistake(
        f"there is no variant {splits[0][0]!r}.",
        condition,
        reference.at,
        did_you_mean(splits[0][0], known),
        expected=f"one of {', '.join(known)}",
    )


def _splits(parts: tuple[str, ...]) -> list[tuple[str, str]]:
    """Variant and metric; where one text holds both, each of its dots may be the one between."""
    if len(parts) == 2:
        return [(parts[0], parts[1])]
    dots = [place for place, character in enumerate(parts[0]) if character == "."]
    return [(parts[0][:dot], parts[0][dot + 1 :]) for dot in dots]


def _named(name: str, rows: Sequence[VariantReport]) -> list[VariantReport]:
    """Those with exactly this name; a format is part of it or not."""
    exact = [row for row in rows if row.run_name == name]
    return exact or [row for row in rows if _short(row) == name]


def _short(row: VariantReport) -> str:
    return row.run_name.rpartition("/")[0] or row.run_name


def _no_metric(
    reference: Reference, condition: str, row: VariantReport, metric: str, ratios: Sequence[str]
) -> ConfigError:
    bounds = [name + end for name in row.intervals for end in _BOUNDS]
    ends = [*ratios, *bounds] if metric.endswith((*_BOUNDS, *_RATIOS)) else []
    near = did_you_mean(metric, [*row.metrics, *ends])
    need = next((text for form, text in _NEEDS if re.fullmatch(form, metric)), None)
    if any(metric.startswith((f"{name}-", f"{name}/")) for name in row.metrics):
        need = "Write a difference or quotient with blanks: a.x / b.x"
    return mistake(
        f"{row.run_name} has no metric {metric!r}.",
        condition,
        reference.at,
        " ".join(filter(None, (near, need))) or None,
        expected=f"one of {', '.join(row.metrics)}",
    )
