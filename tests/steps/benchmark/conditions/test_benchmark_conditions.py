"""Conditions: what they mean, and how mistakes are shown."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mlflow_tfconv.artifacts import VariantReport
from mlflow_tfconv.errors import BenchmarkError, ConfigError, TfconvError
from mlflow_tfconv.steps.benchmark.conditions.verdict import check, judged

ROWS = (
    VariantReport(
        run_name="old/onnx",
        metrics={"latency/p50_ms": 2.0, "quality/accuracy": 0.95, "quality/own.2": 0.5},
        intervals={"latency/p50_ms": (1.9, 2.1)},
    ),
    VariantReport(
        run_name="new-int8.v2/onnx", metrics={"latency/p50_ms": 2.2, "sparsity": float("nan")}
    ),
    VariantReport(run_name="bad/onnx", metrics={"footprint/size_mb": 1.0}, failure="Boom.\n  x"),
    VariantReport(run_name="base/onnx", metrics={"sparsity": 0.0}),
    VariantReport(run_name="base/keras", metrics={"sparsity": 0.5}),
    VariantReport(run_name="my 模型/onnx", metrics={"sparsity": 0.25}),
)


@pytest.mark.parametrize(
    ("condition", "met"),
    [
        ("new-int8.v2.latency/p50_ms > 1.05 * old.latency/p50_ms", True),
        ("new-int8.v2.latency/p50_ms > 1.2 * old.latency/p50_ms", False),
        ("new-int8.v2/onnx.latency/p50_ms>=2.2", True),
        ("not old.quality/accuracy < 0.9", True),
        ("old.latency/p50_ms.low < 1.95 and old.latency/p50_ms.high > 2.05", True),
        ('"my 模型".sparsity == .25', True),
        ("'base/keras'.\"sparsity\" != base/onnx.sparsity", True),
        ("old.quality/own.2 == 5e-1", True),
        ('"old.latency/p50_ms" < 3.', True),
        ("bad.footprint/size_mb == 1", True),
    ],
)
def test_a_condition_is_met_or_not(condition: str, met: bool) -> None:
    assert judged(condition, ROWS).met is met


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("2 + 2 * 2 == 6", True),
        ("(2 + 2) * 2 == 8", True),
        ("8 - 4 - 2 == 2", True),
        ("8 / 4 / 2 == 1", True),
        ("-2 * -2 == 4", True),
        ("2 - -1 == +3", True),
        ("1 > 2 and 1 > 2 or 1 < 2", True),
        ("1 > 2 and (1 > 2 or 1 < 2)", False),
        ("not 1 > 2 and 1 > 2", False),
        ("not (1 > 2 and 1 > 2)", True),
        ("not not 1 < 2", True),
        ("1" + " + 1" * 500 + " == 501", True),
    ],
)
def test_operators_bind_as_in_mathematics_and_python(text: str, met: bool) -> None:
    assert judged(f"({text}) and old.latency/p50_ms == 2", ROWS).met is met


def test_a_verdict_says_what_it_rests_on() -> None:
    verdict = judged("old.latency/p50_ms > 3", ROWS)
    assert str(verdict) == "old.latency/p50_ms > 3: not met (old.latency/p50_ms = 2)"


@pytest.mark.parametrize(
    ("condition", "at", "message"),
    [
        ("", 0, "is missing here"),
        ("old.sparsity >", 14, "is missing here"),
        ("1 < 2", 0, "names no metric"),
        ("old.latency/p50_ms", 0, "a number, and not true or false"),
        ("not old.latency/p50_ms", 4, "a number, and not true or false"),
        ("1 < old.latency/p50_ms < 2", 23, "can't be chained"),
        ("(1 < 2) + 1 > old.sparsity", 1, "true or false, and not a number"),
        ("1 > old.sparsity)", 16, "')' is not expected"),
        ("2 > (1 + old.sparsity", 4, "never closed"),
        ('old.sparsity > "x', 15, "quote is never closed"),
        ("old.sparsity = 1", 13, "'=' means nothing"),
        ("old.sparsity > 1 && 1 > 2", 17, "'&' means nothing"),
        ("8bit.sparsity > 1", 0, "number and letters"),
        ("old.sparsity > 1e999", 15, "too large"),
        ("old > 1", 0, "which metric of which variant"),
        ("old. > 1", 5, "name of a metric is missing"),
        ("1 < olt.sparsity", 4, "no variant 'olt'"),
        ("1 < base.sparsity", 4, "several variants"),
        ("1 < old.latency/p50", 4, "no metric 'latency/p50'"),
        ("1 / base/onnx.sparsity > 2", 2, "divides by zero"),
        ("1 < new-int8.v2.sparsity", 4, "NaN"),
        ("1 < 2 or 1 < new-int8.v2.sparsity", 13, "NaN"),
    ],
)
def test_a_mistake_is_shown_with_a_caret_below_it(condition: str, at: int, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        judged(condition, ROWS)
    assert message in error.value.what
    first, second = str(error.value.received).split("\n")
    assert (first, second.index("^") - len("  Received: ")) == (condition, at)


def test_the_caret_stands_right_below_wide_letters_and_in_long_conditions() -> None:
    def lines(condition: str) -> Any:
        with pytest.raises(ConfigError) as error:
            judged(condition, ROWS)
        return f"  Received: {error.value.received}".split("\n")

    first, second = lines('"my 模型".sparsity > ;')
    assert second.index("^") == first.index(";") + 2
    first, second = lines("old.sparsity + " * 100 + ";")
    assert (second.index("^"), len(first) < 110) == (first.index(";"), True)


@pytest.mark.parametrize(
    ("condition", "advice"),
    [
        ("1 < olt.sparsity", "Did you mean 'old'?"),
        ("1 < old.latency/p50", "Did you mean 'latency/p50_ms'?"),
        ("1 < old.latency/p99_ms", "needs 100 timings"),
        ("1 < old.server/max_rate_per_s", "scenario `server`"),
        ("1 < old.latency/p50_ms/2", "with blanks"),
        ("1 < base.sparsity", '"base/onnx".sparsity'),
    ],
)
def test_a_mistake_is_told_with_how_to_mend_it(condition: str, advice: str) -> None:
    with pytest.raises(ConfigError) as error:
        judged(condition, ROWS)
    assert advice in str(error.value.fix)


RATIOS = {"new-int8.v2/onnx": {"latency/p50_ms": {"ratio": 1.1, "low": 1.06, "high": 1.2}}}


@pytest.mark.parametrize(("end", "value"), [("", 1.1), (".low", 1.06), (".high", 1.2)])
def test_what_was_timed_beside_the_reference_has_a_ratio(end: str, value: float) -> None:
    assert judged(f"new-int8.v2.latency/p50_ms.ratio{end} == {value}", ROWS, RATIOS).met


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("new-int8.v2.latency/p50.ratio.low", "'latency/p50_ms.ratio.low'"),
        ("old.latency/p50_ms.ratio.low", "and not the reference itself"),
        ("bad.footprint/size_mb.ratio", "could not be measured"),
    ],
)
def test_where_there_is_no_ratio_that_is_told(name: str, advice: str) -> None:
    with pytest.raises(TfconvError, match=re.escape(advice)):
        judged(f"{name} > 1.05", ROWS, RATIOS)


def test_what_failed_can_only_be_judged_by_what_is_known_of_it() -> None:
    with pytest.raises(BenchmarkError, match="bad/onnx could not be measured") as error:
        judged("1 < 2 or bad.latency/p50_ms > 1", ROWS)
    assert "Boom." in str(error.value)


@pytest.mark.parametrize(
    "text", ["(" * 2000, "not " * 900, "- " * 1900, "1 < " + "(" * 60, "x" * 5000]
)
def test_no_condition_is_too_much_for_the_reader(text: str) -> None:
    with pytest.raises(ConfigError):
        judged(text, ROWS)


def test_names_are_checked_before_anything_is_measured() -> None:
    check("new.latency/p50_ms > 1.05 * old/onnx.latency/p50_ms", ["new/onnx", "old/onnx"])
    with pytest.raises(TfconvError, match="no variant 'old'"):
        check("new.latency/p50_ms > old.latency/p50_ms", ["new/onnx"])
