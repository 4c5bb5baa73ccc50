"""What is known of a variant's quality, and how sure it is."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from mlflow_tfconv.errors import BenchmarkError
from mlflow_tfconv.steps.benchmark.statistics.judge import Judge, Judgement
from mlflow_tfconv.steps.benchmark.statistics.per_class import per_class
from mlflow_tfconv.steps.benchmark.statistics.quality import BUILT_IN, QualityMetric
from mlflow_tfconv.steps.benchmark.statistics.quality_intervals import Redraws

GENERATOR = np.random.default_rng(0)
LABELS = GENERATOR.integers(0, 3, 400)
SCORES = np.eye(3)[LABELS] + GENERATOR.normal(0, 0.4, (400, 3))


def wrong_on(count: int) -> np.ndarray:
    """The scores, but that many examples that were right get a wrong class."""
    scores = SCORES.copy()
    right = np.flatnonzero(scores.argmax(axis=1) == LABELS)[:count]
    scores[right] = np.roll(scores[right], 1, axis=1)
    return scores


def judged(reference: np.ndarray, own: np.ndarray, labels: Any = LABELS, **asked: Any) -> Judgement:
    """The variant's judgement, after the reference's."""
    judge = Judge(labels=labels, metrics=asked.pop("metrics", ()), **asked)
    judge.judged("base/onnx", {"y": reference})
    return judge.judged("small/onnx", {"y": own})


def verdict(found: Judgement, metric: str = "accuracy") -> str:
    return found.details["drops"][metric]["verdict"]


def test_a_drop_that_chance_does_not_explain_is_worse() -> None:
    found = judged(SCORES, wrong_on(40))
    low, high = found.intervals["quality/accuracy_drop"]
    assert verdict(found) == "worse"
    assert 0 < low < found.metrics["quality/accuracy_drop"] == pytest.approx(0.1)
    assert high < 0.14
    assert found.notes == ()


@pytest.mark.parametrize("labels", [np.full(400, "c1"), {"a": LABELS}, GENERATOR.random((400, 2))])
def test_labels_that_judge_nothing_are_told(labels: Any) -> None:
    (note,) = judged(SCORES, SCORES, labels).notes
    assert note.startswith("has no quality")
    assert "outputs y (400, 3) float64; labels " in note


def test_a_drop_within_noise_is_called_that() -> None:
    found = judged(SCORES, wrong_on(1))
    low, high = found.intervals["quality/accuracy_drop"]
    assert (verdict(found), low < 0 < high) == ("within noise", True)
    assert found.notes[0].startswith("is worse in accuracy by 0.0025, which is within noise")


def test_the_other_way_round_is_better() -> None:
    assert verdict(judged(wrong_on(40), SCORES)) == "better"


def test_identical_outputs_have_lost_nothing_for_sure() -> None:
    found = judged(SCORES, SCORES.copy(), metrics=tuple(BUILT_IN[n] for n in ("accuracy", "f1")))
    assert found.intervals["quality/accuracy_drop"] == (0.0, 0.0)
    assert found.intervals["quality/f1_drop"] == (0.0, 0.0)
    assert verdict(found) == "unchanged"


def test_the_same_classes_of_few_examples_leave_room_for_a_drop() -> None:
    found = judged(SCORES[:50], SCORES[:50] * 1.01, LABELS[:50])
    low, high = found.intervals["quality/accuracy_drop"]
    assert verdict(found) == "unchanged"
    assert low < -0.01 < 0.01 < high


def test_one_example_and_one_class_are_judged_too() -> None:
    one = judged(SCORES[:1], SCORES[:1] * 2, LABELS[:1])
    assert one.intervals["quality/accuracy_drop"] == (-1.0, 1.0)
    rows = np.flatnonzero(LABELS == 1)
    found = judged(SCORES[rows], wrong_on(40)[rows], LABELS[rows], metrics=(BUILT_IN["f1"],))
    assert list(found.details["per_class"]) == ["1"]
    assert verdict(found, "f1") in ("worse", "within noise")


@pytest.mark.parametrize("name", ["mae", "mse", "rmse", "r2"])
def test_errors_of_numbers_have_intervals(name: str) -> None:
    truth = np.random.default_rng(1).normal(size=(3000, 1))
    noise = np.random.default_rng(2).normal(size=(3000, 1))
    metrics = (BUILT_IN[name],)
    found = judged(truth + 0.1 * noise, truth + 0.12 * noise, truth, metrics=metrics)
    low, high = found.intervals[f"quality/{name}"]
    assert low < found.metrics[f"quality/{name}"] < high
    assert verdict(found, name) == "worse"


def test_a_function_of_the_user_is_redrawn_quietly_and_within_its_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def own(outputs: np.ndarray, labels: np.ndarray) -> float:
        print("computing")
        return float((outputs.argmax(axis=1) == labels).mean())

    metric = QualityMetric(name="own", function=own, greater_is_better=True)
    found = judged(SCORES, wrong_on(40), metrics=(metric,))
    assert verdict(found, "own") == "worse"
    assert capsys.readouterr().out.count("computing") == 2
    unknown = judged(SCORES, wrong_on(40), metrics=(metric,), redraws=Redraws(seconds=0.0))
    assert "quality/own_drop" in unknown.metrics
    assert unknown.intervals.keys() == {"quality/agreement"}


def test_a_function_that_fails_on_redrawn_examples_has_no_interval() -> None:
    def fussy(outputs: np.ndarray, labels: np.ndarray) -> float:
        if not np.array_equal(labels, LABELS):
            raise ValueError("other examples")
        return float(outputs.mean())

    metric = QualityMetric(name="fussy", function=fussy, greater_is_better=True)
    found = judged(SCORES, wrong_on(40), metrics=(metric,))
    assert "quality/fussy" in found.metrics
    assert "quality/fussy" not in found.intervals


def test_a_metric_that_is_nan_is_left_out_and_told() -> None:
    metric = QualityMetric(name="odd", function=lambda o, t: float("nan"), greater_is_better=True)
    found = judged(SCORES, wrong_on(40), metrics=(metric,))
    assert list(found.metrics) == ["quality/agreement"]
    assert found.notes == ("has no quality/odd: it came out as NaN",)
    json.dumps(found.details, allow_nan=False)


def test_a_function_of_the_user_that_fails_is_named() -> None:
    metric = QualityMetric(name="odd", function=lambda o, t: o["a"], greater_is_better=True)
    with pytest.raises(BenchmarkError, match="The metric 'odd' failed: IndexError"):
        judged(SCORES, SCORES, metrics=(metric,))


def test_without_redraws_there_are_values_but_no_intervals() -> None:
    found = judged(SCORES, wrong_on(40), redraws=Redraws(draws=0))
    assert found.metrics["quality/accuracy_drop"] == pytest.approx(0.1)
    assert found.intervals == {}


def test_the_same_examples_give_the_same_intervals() -> None:
    first, again = (judged(SCORES, wrong_on(9)).intervals for _ in range(2))
    assert first == again


def test_without_labels_only_agreement_is_known() -> None:
    found = judged(SCORES, wrong_on(40), labels=None)
    assert found.metrics == {"quality/agreement": 0.9}
    low, high = found.intervals["quality/agreement"]
    assert 0.86 < low < 0.9 < high < 0.94


def test_one_score_of_a_class_agrees_too() -> None:
    labels = LABELS % 2
    found = judged(SCORES[:, :1], SCORES[:, :1] + 1e-6, labels)
    assert found.metrics["quality/agreement"] == 1.0


def test_infinite_outputs_have_a_value_and_no_interval() -> None:
    truth = np.ones((20, 1))
    found = judged(truth + 0.5, np.full((20, 1), np.inf), truth)
    assert found.metrics["quality/mae"] == np.inf
    assert "quality/mae_drop" not in found.intervals


def test_details_are_plain_values() -> None:
    details = judged(SCORES, wrong_on(5), class_names=("cat", "dog", "owl")).details
    assert json.loads(json.dumps(details)) == details
    assert details["examples"] == 400
    assert details["outputs"]["y"]["max_abs"] > 0


def test_each_class_is_judged_under_its_name() -> None:
    found = per_class(wrong_on(400), SCORES, LABELS, ("cat", "dog"))
    assert list(found) == ["cat", "dog", "2"]
    cat = found["cat"]
    assert cat["count"] == int((LABELS == 0).sum())
    assert cat["low"] <= cat["accuracy"] <= cat["high"]
    assert cat["drop_low"] > 0.5


def test_a_class_that_nothing_got_has_no_precision() -> None:
    scores = np.array([[1.0, 0.0], [1.0, 0.0]])
    found = per_class(scores, scores, np.array([0, 1]))
    assert found["1"]["precision"] is None
    assert found["1"]["f1"] == 0.0
