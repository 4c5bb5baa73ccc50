from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlflow_tfconv.artifacts import ConvertedModel, ParityReport, TensorSpec, Variant
from mlflow_tfconv.errors import ConfigError, ConversionError
from mlflow_tfconv.runtimes.parity import Comparison, check_parity
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
    assert Comparison(0, 0).report(Path("a"), Path("b"), "none").problem is not None


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
