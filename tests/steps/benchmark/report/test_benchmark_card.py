"""The card of the step fits a terminal and names what a person must know."""

from __future__ import annotations

import dataclasses
import io

from rich.console import Console

from mlflow_tfconv.artifacts import Reports
from mlflow_tfconv.engine.card_html import card_html
from mlflow_tfconv.engine.card_text import print_card
from mlflow_tfconv.engine.cards import Table, Text
from mlflow_tfconv.steps.benchmark.report.card import step_card


def test_it_names_what_failed_and_what_may_be_wrong(reports: Reports) -> None:
    card = step_card(reports, [], "accuracy")
    said = [part.text for part in card.parts if isinstance(part, Text)]
    assert card.title == "3 of 4 variants measured on cpu; 1 failed"
    assert said == [
        "Compared with base/onnx on 1,000 examples.",
        "same/onnx: may be unstable, because of other load.",
        "bad/onnx failed: It crashed.\n  Fix: x",
    ]


def test_it_says_where_the_time_goes(reports: Reports) -> None:
    kinds = [{"operator": name, "share": 0.4} for name in ("Conv", "MatMul", "Relu", "Add")]
    variants = {"base/onnx": {"stages": {"profile": {"operators": kinds}}}}
    profiled = dataclasses.replace(
        reports, environment={**reports.environment, "variants": variants}
    )
    tables = [part for part in step_card(profiled, [], "").parts if isinstance(part, Table)]
    assert tables[1].rows[0][:2] == ("base/onnx", "Conv 40 %, MatMul 40 %, Relu 40 %")


def test_its_lines_are_whole_in_a_terminal_of_100_columns(reports: Reports) -> None:
    file = io.StringIO()
    print_card(step_card(reports, [], "accuracy"), "benchmark", Console(file=file, width=100))
    lines = file.getvalue().splitlines()
    assert any("fast/onnx" in line and "2.0× faster" in line for line in lines)
    assert max(map(len, lines)) == 100


def test_it_is_a_page_too(reports: Reports) -> None:
    assert "0.9000 ▼" in card_html(step_card(reports, [], "accuracy"), "benchmark")
