from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlflow_tfconv.artifacts import ConvertedModel, Parity, ParityReport, TensorSpec, Variant
from mlflow_tfconv.errors import ConfigError, ConversionError
from mlflow_tfconv.runtimes.comparison import Comparison
from mlflow_tfconv.runtimes.parity import check_parity
from mlflow_tfconv.runtimes.parity_rows import COLUMNS, not_finite_warnings, parity_rows
from mlflow_tfconv.runtimes.runtime import Runtime

SAMPLES = [{"x": np.float32([1, 2, 3])}, {"x": np.float32([4])}]


class Formula(Runtime):
    """A model that is a formula."""

    def __init__(self, formula: Any, name: str = "y") -> None:
        self.path = Path("formula")
        self.inputs = (TensorSpec(name="x", dtype="float32", shape=(None,)),)
        self.outputs = (TensorSpec(name=name, dtype="float32", shape=(None,)),)
        self._formula = formula

    def predict(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        return {self.outputs[0].name: np.asarray(self._formula(batch["x"]))}


def verdict(formula: Any, *, source: Any = lambda x: 2 * x, **options: Any) -> ParityReport:
    candidate = formula if isinstance(formula, Runtime) else Formula(formula)
    return check_parity(Formula(source), candidate, **{"samples": SAMPLES, **options})


def test_equal_models_agree_and_the_report_counts_examples() -> None:
    report = verdict(lambda x: x + x)
    assert (report.passed, report.examples, report.max_abs_error) == (True, 4, 0.0)


def test_tolerances_decide() -> None:
    report = verdict(lambda x: 2 * x + 0.01)
    assert not report.passed
    assert report.max_abs_error == pytest.approx(0.01, rel=1e-3)
    assert "output 'y' differs by up to 0.01 (4 values" in str(report.problem)
    assert verdict(lambda x: 2 * x + 0.01, absolute_tolerance=0.02).passed
    assert verdict(lambda x: 2 * x * 1.01, relative_tolerance=0.02).passed


@pytest.mark.parametrize(
    ("formula", "problem"),
    [
        (lambda x: 2 * x[:, None], "has shape"),
        (lambda x: (2 * x).astype(np.float64), "has dtype float64"),
        (Formula(lambda x: 2 * x, name="z"), "outputs are named"),
        (lambda x: np.where(x > 2, np.nan, 2 * x).astype(np.float32), "differs by up to inf"),
        (lambda x: x[99], "can't be run: IndexError"),
    ],
)
def test_what_differs_is_said_in_words(formula: Any, problem: str) -> None:
    report = verdict(formula)
    assert not report.passed
    assert problem in str(report.problem)


def test_nan_agrees_with_nan_unless_there_is_nothing_else() -> None:
    def some(x: Any) -> Any:
        return np.where(x > 2, np.nan, x)

    assert verdict(some, source=some).passed
    report = verdict(lambda x: x * np.nan, source=lambda x: x * np.nan)
    assert not report.passed
    assert "NaN or infinite everywhere" in str(report.problem)


def test_no_examples_is_not_a_pass() -> None:
    with pytest.raises(ConfigError, match="not a single example"):
        verdict(lambda x: 2 * x, samples=[])
    assert Comparison().report(Path("a"), Path("b"), "none").problem is not None


def test_samples_under_other_names_are_refused() -> None:
    with pytest.raises(ConfigError, match="not those of the model's inputs"):
        verdict(lambda x: x, samples=[{"image": np.zeros(2, np.float32)}])


def test_a_source_that_fails_on_the_samples_says_what_they_were() -> None:
    with pytest.raises(ConversionError, match=r"x: float32 \(3,\); IndexError"):
        verdict(lambda x: x, source=lambda x: x[99])


def test_a_live_model_and_a_variant_are_compared(model: Any, keras_file: Path) -> None:
    saved = Variant(name="base", format="keras", path=keras_file)
    report = check_parity(model, saved, samples=np.ones((2, 4, 4, 1)))
    assert (report.passed, report.examples, report.samples) == (True, 2, "given samples")


def test_what_can_not_be_compared_says_what_can(model: Any, keras_file: Path) -> None:
    several = ConvertedModel(
        source=keras_file, saved_model=None, onnx=keras_file, inputs=(), outputs=()
    )
    with pytest.raises(ConfigError, match=r"name one of \.onnx, \.source"):
        check_parity(several, keras_file)
    with pytest.raises(ConfigError, match="absolute_tolerance"):
        check_parity(keras_file, keras_file, absolute_tolerance=-1)
    with pytest.raises(ConfigError, match="device is not understood"):
        check_parity(keras_file, keras_file, device="gpu")


def test_without_samples_the_report_says_that_inputs_were_made_up(keras_file: Path) -> None:
    report = check_parity(keras_file, keras_file)
    assert report.passed
    assert "made-up inputs" in report.samples


def test_a_tolerance_is_a_precision_a_number_a_pair_or_a_mapping() -> None:
    def near(x: Any) -> Any:
        return 2 * x * 1.005

    assert not verdict(near).passed
    for tolerance in ("float16", 0.01, (0, 0.006), {"relative": 0.006}):
        assert verdict(near, tolerance=tolerance).passed, tolerance
    assert verdict(near, tolerance="int8").allowed == "0.01 + 0.2 x largest |value|"
    for wrong in ("float17", -1, {"cosine": 1}, (1, 2, 3), {"of_largest": 3}):
        with pytest.raises(ConfigError, match="olerance"):
            verdict(near, tolerance=wrong)


def test_the_parts_of_a_tolerance_can_be_said_alone() -> None:
    assert verdict(lambda x: 2 * x + 0.5, absolute_tolerance=0.5).relative_tolerance == 1e-3
    assert verdict(lambda x: 2 * x, relative_tolerance=0).absolute_tolerance == 1e-4


def test_a_report_is_json_for_every_reader() -> None:
    report = verdict(lambda x: np.where(x > 2, np.nan, 2 * x).astype(np.float32))
    read = json.loads(report.to_json())
    assert (read["max_abs_error"], read["candidate"], read["passed"]) == ("inf", "formula", False)
    assert read["outputs"]["y"]["exceeded"] == 2
    both = json.loads(Parity(reports={"onnx": report}).to_json())
    assert both["onnx"]["allowed"] == "0.0001 + 0.001 x |value|"


def test_rows_say_each_output_of_each_format() -> None:
    good, bad = verdict(lambda x: 2 * x), verdict(lambda x: 3 * x)
    rows = parity_rows({"saved_model": good, "onnx": bad}, {"onnx": "ONNX"})
    assert [row[:2] for row in rows] == [("saved_model", "y"), ("ONNX", "y")]
    assert (len(rows[0]), rows[0][-1]) == (len(COLUMNS), "agrees")
    assert rows[1][-1].startswith("disagrees: output 'y' differs by up to 4")
    broken = parity_rows({"onnx": verdict(lambda x: x[99])})
    assert "can't be run" in broken[0][-1]


def test_nan_that_both_give_is_a_warning() -> None:
    def some(x: Any) -> Any:
        return np.where(x > 2, np.nan, x)

    reports = {"onnx": verdict(some, source=some)}
    assert "2 in its output 'y'" in not_finite_warnings(reports)[0]
    assert not_finite_warnings({"onnx": verdict(lambda x: 2 * x)}) == ()


def test_an_image_without_a_batch_is_one_example() -> None:
    class Image(Formula):
        def predict(self, batch: Mapping[str, Any]) -> dict[str, Any]:
            return {"y": batch["x"].mean(axis=(0, 1))[None]}

    comparison = Comparison()
    image = {"x": np.ones((40, 56, 3), np.float32)}
    assert comparison.add(image, Image(None).predict(image), Image(None))
    assert comparison.examples == 1
