from __future__ import annotations

from mlflow_tfconv.steps.train.trials.failed import Reasons, all_failed
from mlflow_tfconv.steps.train.trials.trial import Trial


def failed(number: int, reason: str) -> Trial:
    trial = Trial(number=number, values={"units": number}, fingerprint="", state="failed")
    trial.reason = reason.replace("TITLE", trial.title)
    return trial


def test_a_reason_is_told_once() -> None:
    reasons = Reasons()
    first, *others = (
        reasons.told(failed(n, "TITLE failed while training: ValueError: no\n  Log: a.log"))
        for n in (3, 4, 5)
    )
    assert first.startswith("Trial 3 (units 3) failed while training: ValueError: no\n  Log: a.log")
    assert others[0] == "Trial 4 (units 4) failed as trial 3 did."
    assert others[1] == "Trial 5 (units 5) failed as trial 3 did."


def test_reasons_that_differ_in_numbers_are_told_in_a_line() -> None:
    reasons = Reasons()
    texts = [
        reasons.told(failed(n, f"Training was stopped in epoch {n}.\n  Fix: lower it."))
        for n in (1, 2)
    ]
    assert texts[0] == (
        "Trial 1 (units 1) failed: Training was stopped in epoch 1.\n  Fix: lower it."
    )
    assert texts[1] == (
        "Trial 2 (units 2) failed much as trial 1 did: Training was stopped in epoch 2."
    )


def test_when_all_fail_each_reason_is_told_once() -> None:
    trials = [failed(n, "TITLE failed: a\n  Log: x") for n in (1, 3)] + [failed(2, "TITLE died: b")]
    error = str(all_failed(trials))
    assert error.startswith("None of 3 trials came to its end.")
    assert error.count("failed: a") == error.count("died: b") == 1
    assert "    Trial 1 (units 1) failed: a\n      Log: x\n    Alike: trial 3\n" in error


def test_one_reason_of_all_is_the_headline() -> None:
    error = all_failed([failed(n, "TITLE failed: a") for n in (1, 2)])
    assert error.what == "None of 2 trials came to its end, all for the same reason."
