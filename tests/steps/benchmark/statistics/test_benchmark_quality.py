"""Quality: built-in metrics, a user's own, drops and agreement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlflow_tfconv.engine.step import MetricSpec
from mlflow_tfconv.errors import BenchmarkError, ConfigError
from mlflow_tfconv.steps.benchmark.statistics.quality import (
    BUILT_IN,
    QualityMetric,
    agreement,
    chosen_metrics,
    default_metrics,
    drops,
    measured,
)

SCORES = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])
CLASSES = np.array([0, 1, 1, 1])


def built_in(name: str, outputs: np.ndarray, labels: np.ndarray) -> float:
    return BUILT_IN[name].function(outputs, labels)


def measured_quality(
    metrics: Sequence[QualityMetric], outputs: Mapping[str, Any], labels: Any
) -> dict[str, float]:
    return {f"quality/{m.name}": measured(m, outputs, labels).value for m in metrics}


def test_accuracy_takes_class_numbers_in_rows_and_one_hot() -> None:
    for labels in (CLASSES, CLASSES[:, None], np.eye(2)[CLASSES]):
        assert built_in("accuracy", SCORES, labels) == 0.75


def test_one_score_is_a_probability_or_a_logit() -> None:
    assert built_in("accuracy", np.array([[0.2], [0.7]]), np.array([0, 1])) == 1.0
    assert built_in("accuracy", np.array([[-2.0], [0.3]]), np.array([0, 1])) == 1.0


def test_top5_looks_at_the_five_highest() -> None:
    scores = np.arange(10.0)[None].repeat(2, axis=0)
    assert built_in("top5", scores, np.array([5, 4])) == 0.5


def test_f1_averages_over_the_classes() -> None:
    assert built_in("f1", SCORES, CLASSES) == pytest.approx((2 / 3 + 4 / 5) / 2)


def test_errors_of_numbers() -> None:
    outputs, labels = np.array([[1.0], [3.0]]), np.array([2.0, 5.0])
    assert built_in("mae", outputs, labels) == 1.5
    assert built_in("mse", outputs, labels) == 2.5
    assert built_in("rmse", outputs, labels) == pytest.approx(2.5**0.5)
    assert built_in("r2", labels, labels) == 1.0


def test_labels_that_do_not_fit_are_an_error() -> None:
    with pytest.raises(BenchmarkError, match="can't be subtracted"):
        built_in("mae", SCORES, CLASSES)
    with pytest.raises(BenchmarkError, match="no classes"):
        built_in("accuracy", SCORES, np.zeros((4, 3)))


def test_the_default_is_accuracy_for_classes_and_errors_for_numbers() -> None:
    many = np.zeros((4, 10))
    errors = (BUILT_IN["mae"], BUILT_IN["rmse"])
    assert default_metrics({"y": SCORES}, CLASSES) == (BUILT_IN["accuracy"],)
    assert default_metrics({"y": many}, CLASSES) == (BUILT_IN["accuracy"], BUILT_IN["top5"])
    assert default_metrics({"y": SCORES[:, :1]}, SCORES[:, 0]) == errors
    assert default_metrics({"y": SCORES[:, :1]}, np.array([30, 41, 25, 60])) == errors
    assert default_metrics({"a": SCORES, "b": SCORES}, CLASSES) == ()


def test_each_position_of_an_example_may_have_a_class() -> None:
    scores = np.stack([SCORES, SCORES])  # two examples of four tokens
    truth = np.stack([CLASSES, [0, 1, 0, 1]])
    for labels in (truth, truth[..., None], np.eye(2)[truth]):
        assert built_in("accuracy", scores, labels) == pytest.approx(7 / 8)
    masks = np.stack([SCORES, SCORES])[..., :1]
    assert built_in("accuracy", masks, (masks > 0.5).astype(int)) == 1.0
    assert default_metrics({"y": scores}, truth) == (BUILT_IN["accuracy"],)


def test_scores_that_are_equal_are_not_all_among_the_five_highest() -> None:
    assert built_in("top5", np.zeros((10, 10)), np.arange(10)) == 0.5
    assert built_in("top5", np.zeros((2, 10)), np.array([-1, 10])) == 0.0


def test_r2_of_labels_that_are_all_the_same() -> None:
    same = np.full(5, 0.1)
    assert built_in("r2", same, same) == 1.0
    assert built_in("r2", same + 1, same) == 0.0


def test_text_and_several_classes_at_once_are_no_classes() -> None:
    with pytest.raises(BenchmarkError, match="labels of the type"):
        built_in("accuracy", SCORES, np.array(["a", "b", "a", "b"]))
    with pytest.raises(BenchmarkError, match="several classes at once"):
        built_in("accuracy", SCORES, np.ones((4, 2), int))


def test_a_function_that_gives_no_number_is_told() -> None:
    metric = QualityMetric(name="odd", function=lambda o, t: None, greater_is_better=True)
    with pytest.raises(BenchmarkError, match="gave no number"):
        measured_quality((metric,), {"y": SCORES}, CLASSES)


def test_a_drop_is_positive_when_it_is_worse() -> None:
    metrics = (BUILT_IN["accuracy"], BUILT_IN["mae"])
    own = {"quality/accuracy": 0.9, "quality/mae": 1.5}
    reference = {"quality/accuracy": 1.0, "quality/mae": 1.0}
    assert drops(metrics, own, reference) == pytest.approx(
        {"quality/accuracy_drop": 0.1, "quality/mae_drop": 0.5}
    )


def test_no_drop_is_a_plain_zero() -> None:
    own = {"quality/mae": 1.5}
    assert str(drops((BUILT_IN["mae"],), own, own)["quality/mae_drop"]) == "0.0"


def test_agreement_is_the_share_of_equal_classes() -> None:
    assert agreement({"y": SCORES}, {"y": SCORES[[0, 1, 1, 0]]}) == {"quality/agreement": 0.5}


def test_numbers_have_no_agreement() -> None:
    assert agreement({"y": SCORES[:, 0]}, {"y": SCORES[:, 0]}) == {}
    assert agreement({"y": SCORES[:, :1]}, {"y": SCORES[:, :1]}) == {}


def test_a_function_of_the_user_gets_outputs_and_labels(tmp_path: Path) -> None:
    (tmp_path / "steps").mkdir()
    code = "def worst(outputs, labels):\n    return float(abs(outputs[:, 0] - labels).max())\n"
    (tmp_path / "steps" / "evaluate.py").write_text(code)
    spec = MetricSpec(name="worst", function="worst", greater_is_better=False)
    metrics = chosen_metrics((spec,), tmp_path)
    quality = measured_quality(metrics, {"y": SCORES}, CLASSES)
    assert quality == pytest.approx({"quality/worst": 0.9})


def test_an_unknown_metric_says_which_there_are() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'accuracy'"):
        chosen_metrics((MetricSpec(name="acuracy"),), None)


def test_a_metric_of_the_user_needs_a_direction(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="greater_is_better"):
        chosen_metrics((MetricSpec(name="mine", function="mine"),), tmp_path)


def test_a_built_in_metric_needs_one_output() -> None:
    with pytest.raises(BenchmarkError, match="needs one output and one label"):
        measured_quality((BUILT_IN["accuracy"],), {"a": SCORES, "b": SCORES}, CLASSES)
