from __future__ import annotations

from pathlib import Path

from mlflow_tfconv.engine.events import Event, Metric
from mlflow_tfconv.steps.train.trials.telling import Teller
from mlflow_tfconv.steps.train.trials.trial import Trial
from mlflow_tfconv.steps.train.trials.trial_store import TrialStore


def make_trial() -> Trial:
    return Trial(number=1, values={"params.rate": 0.1}, fingerprint="f1")


def test_what_is_said_again_of_an_end_has_the_same_time() -> None:
    said: list[Event] = []
    for _ in range(2):
        trial = make_trial()
        trial.state, trial.score, trial.host_peak_mb = "done", 0.5, 100.0
        teller = Teller(said.append, "val_loss", 1)
        teller.again(trial, [Metric(name="val_loss", value=0.5, step=1, time_ms=7)])
    metrics = [event for event in said if isinstance(event, Metric)]
    assert metrics[:3] == metrics[3:]
    assert {metric.time_ms for metric in metrics} == {7}


def test_a_trial_that_ended_just_before_its_search_was_killed_is_kept(tmp_path: Path) -> None:
    store, trial = TrialStore(tmp_path / "work", tmp_path / "parts"), make_trial()
    folder = store.begin(trial)
    store.take_finished(trial)
    assert not store.part("f1").exists()
    (folder / "result.json").write_text('{"opened": {}, "listed": {}}')
    again = store.begun(1)
    assert again is not None
    store.take_finished(again)
    assert store.result("f1") is not None
    assert not folder.exists()
