"""The page: it holds all there is, needs nothing else, and what is absent leaves no hole."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser

import pytest

from mlflow_tfconv.artifacts import Reports, VariantReport
from mlflow_tfconv.steps.benchmark.report.curves import curves
from mlflow_tfconv.steps.benchmark.report.meanings import meaning
from mlflow_tfconv.steps.benchmark.report.page import page
from mlflow_tfconv.steps.benchmark.report.panels import panels

_VOID = ("meta", "br", "img")


class Tags(HTMLParser):
    """Makes sure that each tag is closed in its order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def text_of(html: str) -> str:
    body = html.partition("</style>")[2]
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())


def test_it_says_how_the_variants_compare_in_words(reports: Reports) -> None:
    text = text_of(page(reports))
    assert "3 of 4 models measured, 1 failed" in text
    assert "on cpu · P · 2 processors · 1,000 examples" in text
    assert "fast/onnx 2.0× faster 4.0× smaller on disk equal memory accuracy 0.050 worse" in text
    assert "same/onnx equal speed 4.0× smaller on disk equal memory accuracy unchanged" in text


def test_it_holds_what_the_details_tell(reports: Reports) -> None:
    text = text_of(page(reports))
    assert "Operators that take most time operator ms a run share Conv 0.612 61 %" in text
    assert "base/onnx: host peak 100 MB in 3.00 s; dashed: loaded" in text
    assert "It crashed. Fix: x" in text
    assert "May be unstable, because of other load." in text
    assert "server.precision 0.05" in text
    assert "latency/p50_ms Time from input to output, median." in text


def test_it_needs_no_other_file_and_runs_nothing(reports: Reports) -> None:
    html = page(reports)
    tags = Tags()
    tags.feed(html)
    assert tags.open == []
    assert not re.search(r"<script|<link|src=|@import|url\(|https?:", html)


@pytest.mark.parametrize(
    "bare",
    [
        Reports(rows=(VariantReport(run_name="a/onnx", metrics={"latency/p50_ms": 1.0}),)),
        Reports(rows=(VariantReport(run_name="a/onnx", failure="It crashed."),)),
        Reports(rows=()),
        Reports(
            rows=(VariantReport(run_name="a/onnx", metrics={"x": float("nan")}),),
            environment={"gpu": None, "machine": None, "variants": None, "config": None},
        ),
    ],
)
def test_what_is_absent_leaves_no_hole(bare: Reports) -> None:
    text = text_of(page(bare))
    for word in ("None", "Side by side", "Memory over time", "Surroundings", "95 %"):
        assert word not in text


def test_foreign_words_stay_words(reports: Reports) -> None:
    evil = "<script>alert(1)</script>\"'"
    row = VariantReport(run_name=evil, metrics={f"quality/{evil}": 1.0}, notes=(evil,))
    failed = VariantReport(run_name="b", failure=evil)
    html = page(dataclasses.replace(reports, rows=(row, failed)))
    assert "<script" not in html


def test_a_wide_range_gets_a_logarithmic_scale_on_which_all_dots_have_room(
    reports: Reports,
) -> None:
    far = dataclasses.replace(
        reports.rows[1], metrics={**reports.rows[1].metrics, "latency/p50_ms": 500.0}
    )
    rows = (reports.rows[0], far)
    found = {p.title: p for p in panels(dataclasses.replace(reports, rows=rows))}
    assert "Logarithmic" in found["p50 ms"].note
    assert "Logarithmic" not in found["size MB"].note
    for panel in found.values():
        assert all(0 <= dot.low <= dot.place <= 100 for dot in panel.dots)


def test_curves_without_enough_points_are_left_out() -> None:
    for curve in (None, {}, {"seconds": [0], "mb": [1]}, "gone"):
        environment = {"variants": {"a/onnx": {"memory": {"curve": curve}}}}
        rows = (VariantReport(run_name="a/onnx"),)
        assert curves(Reports(rows=rows, environment=environment)) == []


def test_gaps_in_a_curve_are_no_points() -> None:
    curve = {"seconds": [0, 1, 2], "mb": [1, None, 2], "gpu_mb": [None, 5, 6]}
    environment = {"variants": {"a/onnx": {"memory": {"curve": curve}}}}
    (found,) = curves(Reports(rows=(VariantReport(run_name="a/onnx"),), environment=environment))
    assert [len(line.points.split()) for line in found.lines] == [2, 2]
    assert found.text == "a/onnx: host peak 2.00 MB, GPU peak 6.00 MB in 2.00 s"


def test_metrics_are_explained() -> None:
    assert meaning("latency/p99_ms_b32").endswith("take at most this long. At batch 32.")
    assert meaning("latency/p50_ms_bound") == "p50 with inputs and outputs left on the device."
    assert meaning("own") == ""
