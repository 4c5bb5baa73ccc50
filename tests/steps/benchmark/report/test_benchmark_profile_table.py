"""Where the time of all variants goes, side by side."""

from __future__ import annotations

from typing import Any

from mlflow_tfconv.artifacts import Reports, VariantReport
from mlflow_tfconv.steps.benchmark.report.profile_table import profile_table

_PROFILE = {
    "operators": [
        {"operator": "Conv", "share": 0.61},
        {"operator": "MatMul", "share": 0.2},
        {"operator": "Relu", "share": 0.052},
        {"operator": "Cast", "share": 0.01},
    ],
    "conversions": {"share": 0.013},
    "outside_share": 0.128,
}


def _reports(**details: Any) -> Reports:
    rows = tuple(VariantReport(run_name=name.replace("_", "/")) for name in details)
    named = {name.replace("_", "/"): told for name, told in details.items()}
    return Reports(rows=rows, environment={"variants": named})


def test_a_line_for_each_profile_with_its_slower_layers() -> None:
    layers = {"layers": 16, "slower": [{}, {}], "slower_ms": 0.02}
    table = profile_table(
        _reports(
            base_onnx={"stages": {"profile": _PROFILE}},
            int8_onnx={"stages": {"profile": _PROFILE}, "layers": layers},
            f16_onnx={"stages": {"profile": _PROFILE}, "layers": {**layers, "slower": []}},
        )
    )
    assert table is not None
    shared = ("Conv 61 %, MatMul 20 %, Relu 5.2 %", "1.3 %", "13 %")
    assert table.rows == (
        ("base/onnx", *shared, ""),
        ("int8/onnx", *shared, "2, +0.02 ms"),
        ("f16/onnx", *shared, "none"),
    )


def test_models_that_could_not_be_matched_have_an_empty_cell() -> None:
    told = {"stages": {"profile": _PROFILE}, "layers": {"layers": 0, "slower": [], "slower_ms": 0}}
    table = profile_table(_reports(new_onnx=told))
    assert table is not None
    assert table.rows[0][-1] == ""


def test_without_a_profile_there_is_no_table() -> None:
    assert profile_table(_reports(base_onnx={}, int8_onnx={"stages": {}})) is None
    assert profile_table(Reports(rows=())) is None
