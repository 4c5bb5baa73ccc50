"""The table in a terminal: it fits, what matters most stays, and nothing is squeezed."""

from __future__ import annotations

import dataclasses
import io

import pytest
from rich.console import Console

from mlflow_tfconv.artifacts import Reports, VariantReport
from mlflow_tfconv.steps.benchmark.report.columns import columns, number
from mlflow_tfconv.steps.benchmark.report.printed import printed
from mlflow_tfconv.steps.benchmark.report.summary_table import legend, summary_table


def lines(reports: Reports, width: int) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width, color_system=None).print(printed(reports, width))
    return [line.rstrip() for line in file.getvalue().splitlines()]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_table_fits_and_keeps_each_variant_in_one_line(reports: Reports, width: int) -> None:
    found = lines(reports, width)
    assert max(map(len, found)) <= width
    body = found[next(n for n, line in enumerate(found) if line.startswith("──")) + 1 :]
    names = [line.split()[0] for line in body[:4]]
    assert names == ["base/onnx", "fast/onnx", "same/onnx", "bad/onnx"]
    assert any("2.0× faster" in line for line in found if line.startswith("fast/onnx"))


def test_a_wider_terminal_shows_more(reports: Reports) -> None:
    narrow, wide = ("\n".join(lines(reports, width)) for width in (80, 140))
    assert "agreement" not in narrow
    assert "agreement" in wide


def test_long_names_are_broken_and_leave_room_for_the_numbers(reports: Reports) -> None:
    longer = dataclasses.replace(reports.rows[1], run_name=f"{'a-long-name-' * 8}/onnx")
    found = lines(dataclasses.replace(reports, rows=(reports.rows[0], longer)), 80)
    assert max(map(len, found)) <= 80
    assert any("2.0× faster" in line for line in found)


def test_notes_stand_below_and_failures_are_named(reports: Reports) -> None:
    found = lines(reports, 100)
    assert found[-1] == "same/onnx: may be unstable, because of other load"
    assert any(line.startswith("bad/onnx") and line.endswith("failed") for line in found)


def test_marks_say_how_each_number_stands(reports: Reports) -> None:
    table = summary_table(reports)
    size = table.columns.index("size MB")
    assert [row[size] for row in table.rows] == ["1.00 ·", "0.250 ▲", "0.250 ▲", ""]
    assert "▲ better, ▼ worse, = not told apart from base/onnx" in table.caption


def test_one_model_is_compared_with_nothing(reports: Reports) -> None:
    alone = dataclasses.replace(reports, rows=reports.rows[:1])
    assert legend(alone) == ""
    assert summary_table(alone).rows[0][1:3] == ("0.9500", "1.000")


def test_batch_sizes_are_in_their_order() -> None:
    names = ["latency/p50_ms_b32", "latency/p50_ms_b8", "latency/p99_ms_b8", "latency/p50_ms"]
    row = VariantReport(run_name="a/onnx", metrics=dict.fromkeys(names, 1.0))
    assert [c.heading for c in columns([row])] == ["p50 ms", "p50 ms b8", "p50 ms b32", "p99 ms b8"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.012345, "0.0123"),
        (1.2345, "1.23"),
        (12.345, "12.3"),
        (1234.5, "1,234"),
        (-0.5, "-0.500"),
        (3e-7, "3e-07"),
        (float("nan"), "NaN"),
        (float("inf"), "∞"),
        (None, ""),
    ],
)
def test_numbers_are_short(value: float | None, text: str) -> None:
    assert number(value) == text
