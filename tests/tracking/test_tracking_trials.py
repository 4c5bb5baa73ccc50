"""Trials of a search are child runs of a kind of their own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import pytest

from mlflow_tfconv.engine.events import Metric, Param, RunEnded, Tag, VariantRun
from mlflow_tfconv.tracking.tracker import Tracker

pytestmark = pytest.mark.mlflow
MakeTracker = Callable[..., Tracker]


def trial(number: int, fingerprint: str, rate: float) -> VariantRun:
    return VariantRun(
        run=f"trial/{number:02d}",
        fingerprint=fingerprint,
        params={"params.rate": rate},
        kind="trial",
    )


SEARCH = [
    Param(name="trials.metric", value="val_loss"),
    Param(name="trials.direction", value="min"),
    trial(1, "f1", 0.1),
    Metric(name="val_loss", value=0.5, step=1, run="trial/01", time_ms=1),
    Metric(name="best/val_loss", value=0.5, run="trial/01", time_ms=2),
    Tag(name="tfconv.trial_state", value="done", run="trial/01"),
    RunEnded(run="trial/01", status="FINISHED"),
    trial(2, "f2", 0.2),
    Metric(name="val_loss", value=0.9, step=1, run="trial/02", time_ms=3),
    Tag(name="tfconv.trial_state", value="pruned", run="trial/02"),
    RunEnded(run="trial/02", status="KILLED"),
]


def test_each_trial_is_a_child_with_its_params_metrics_and_state(
    make_tracker: MakeTracker, client: Any
) -> None:
    tracker = make_tracker()
    parent = tracker.start("m", fresh=True)
    for event in SEARCH:
        tracker.handle("train", event)
    tracker.finish("FINISHED")
    first, second = (client.get_run(tracker.children()[f"trial/0{n}"]) for n in (1, 2))
    assert first.data.tags["tfconv.kind"] == "trial"
    assert first.data.tags["mlflow.parentRunId"] == parent
    assert first.data.params == {"params.rate": "0.1"}
    assert (first.info.status, second.info.status) == ("FINISHED", "KILLED")
    assert second.data.tags["tfconv.trial_state"] == "pruned"
    assert second.data.metrics["val_loss"] == 0.9
    note = client.get_run(parent).data.tags["mlflow.note.content"]
    assert note.startswith("[Compare the trials](")
    assert "variants" not in note


def test_a_trial_is_running_until_it_ends(make_tracker: MakeTracker, client: Any) -> None:
    tracker = make_tracker()
    tracker.start("m", fresh=True)
    tracker.handle("train", trial(1, "f1", 0.1))
    tracker.settle()
    run_id = tracker.children()["trial/01"]
    assert client.get_run(run_id).info.status == "RUNNING"
    tracker.finish("KILLED")
    assert client.get_run(run_id).info.status == "KILLED"
    again = make_tracker()
    again.start("m", fresh=True)
    again.handle("train", trial(1, "f1", 0.1))
    again.settle()
    assert client.get_run(run_id).info.status == "RUNNING"
    again.finish("FINISHED")


def test_a_trial_that_a_kill_left_running_ends_with_its_parent(
    make_tracker: MakeTracker, client: Any
) -> None:
    killed = make_tracker()
    killed.start("m", fresh=True)
    killed.handle("train", trial(1, "f1", 0.1))
    killed.settle()
    run_id = killed.children()["trial/01"]
    make_tracker().start("other", fresh=True)
    assert client.get_run(run_id).info.status == "KILLED"


def test_a_trial_that_has_failed_and_is_tried_again_gets_a_new_run(
    make_tracker: MakeTracker, client: Any
) -> None:
    tracker = make_tracker()
    tracker.start("m", fresh=True)
    for status in ("FAILED", "FINISHED"):
        tracker.handle("train", trial(1, "f1", 0.1))
        tracker.handle("train", Metric(name="val_loss", value=0.5, step=1, run="trial/01"))
        tracker.handle("train", RunEnded(run="trial/01", status=status))
    tracker.finish("FINISHED")
    new = tracker.children()["trial/01"]
    assert len(client.get_metric_history(new, "val_loss")) == 1
    (run,) = tracker._server._of_kind("trial", str(tracker.run_id))  # without superseded ones
    assert (run.info.run_id, run.info.status) == (new, "FINISHED")


def test_the_link_sorts_by_what_told_the_best(make_tracker: MakeTracker) -> None:
    tracker = make_tracker()
    tracker.start("m", fresh=True)
    for event in SEARCH:
        tracker.handle("train", event)
    tracker.finish("FINISHED")
    assert parse_qs(str(tracker.link()).partition("?")[2])["orderByKey"] == [
        "metrics.`best/val_loss`"
    ]


def test_the_links_tell_trials_and_variants_apart(make_tracker: MakeTracker, client: Any) -> None:
    tracker = make_tracker()
    tracker.start("m", fresh=True)
    for event in SEARCH:
        tracker.handle("train", event)
    tracker.settle()
    assert "'trial'" in found(tracker)
    tracker.handle("convert", VariantRun(run="base/onnx", fingerprint="v"))
    tracker.settle()
    assert "'variant'" in found(tracker)
    tracker.finish("FINISHED")


def test_a_search_that_is_said_again_makes_no_run_twice(
    make_tracker: MakeTracker, client: Any
) -> None:
    ids = []
    for time_ms in (1, 2):
        tracker = make_tracker()
        tracker.start("m", fresh=False)
        for event in SEARCH:
            again = {"time_ms": time_ms} if isinstance(event, Metric) else {}
            tracker.handle("train", dataclasses.replace(event, **again))
        tracker.finish("KILLED")
        ids.append(dict(tracker.children()))
    assert ids[0] == ids[1]
    history = client.get_metric_history(ids[0]["trial/01"], "val_loss")
    assert len(history) == 1
    experiment = client.get_experiment_by_name("digits").experiment_id
    assert len(client.search_runs([experiment])) == 3


def test_a_trial_of_the_same_number_with_other_settings_gets_a_new_run(
    make_tracker: MakeTracker, client: Any
) -> None:
    tracker = make_tracker()
    tracker.start("m", fresh=True)
    tracker.handle("train", trial(1, "f1", 0.1))
    tracker.settle()
    old = tracker.children()["trial/01"]
    tracker.handle("train", trial(1, "f9", 0.7))
    tracker.finish("FINISHED")
    assert tracker.children()["trial/01"] != old
    assert client.get_run(old).data.tags["tfconv.superseded"] == "true"


def found(tracker: Tracker) -> str:
    link = tracker.link()
    assert link is not None
    return parse_qs(link.partition("?")[2])["searchFilter"][0]
