from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlflow_tfconv.engine.events import (
    ArtifactFile,
    Event,
    Metric,
    ModelFile,
    Param,
    Progress,
    RegisterModel,
    Tag,
    VariantRun,
)
from mlflow_tfconv.errors import TrackingError
from mlflow_tfconv.tracking.destination import Destination
from mlflow_tfconv.tracking.tracker import Tracker

pytestmark = pytest.mark.mlflow
MakeTracker = Callable[..., Tracker]
VARIANT = VariantRun(run="int8/onnx", fingerprint="f1", params={"precision": "int8"})


def runs_of(client: Any) -> list[Any]:
    experiment = client.get_experiment_by_name("digits")
    return list(client.search_runs([experiment.experiment_id], order_by=["start_time ASC"]))


def never() -> Iterator[Event]:
    raise AssertionError("nothing was to be logged")
    yield


def test_what_a_step_says_is_logged_while_it_runs(make_tracker: MakeTracker, client: Any) -> None:
    tracker = make_tracker()
    run_id = tracker.start(None, fresh=True)
    for epoch in range(3):
        tracker.handle("train", Metric(name="loss", value=1 / (epoch + 1), step=epoch))
    tracker.handle("train", Param(name="epochs", value=3))
    tracker.handle("train", Progress(label="training", done=3))
    tracker.settle()
    run = client.get_run(run_id)
    assert run.info.status == "RUNNING"
    assert run.data.params == {"epochs": "3"}
    assert [m.step for m in client.get_metric_history(run_id, "loss")] == [0, 1, 2]
    tracker.finish("FINISHED")
    assert client.get_run(run_id).info.status == "FINISHED"


def test_no_empty_folder_is_left_behind(
    make_tracker: MakeTracker, tmp_path: Path, doubling_onnx: ModelFile
) -> None:
    tracker = make_tracker()
    tracker.start("m", fresh=True)
    tracker.replay("compress", "c", [VARIANT, doubling_onnx])
    tracker.finish("FINISHED")
    assert not (tmp_path / "mlruns").exists()


def test_each_variant_is_a_child_with_its_own_params(
    make_tracker: MakeTracker, client: Any
) -> None:
    tracker = make_tracker()
    parent = tracker.start("m", fresh=True)
    tracker.handle("compress", VARIANT)
    tracker.handle("benchmark", Metric(name="latency/p50_ms", value=2.5, run="int8/onnx"))
    tracker.finish("FINISHED")
    child = client.get_run(tracker.children()["int8/onnx"])
    assert child.info.run_name == "int8/onnx"
    assert child.data.params == {"precision": "int8"}
    assert child.data.metrics == {"latency/p50_ms": 2.5}
    assert child.data.tags["mlflow.parentRunId"] == parent
    assert child.data.tags["tfconv.kind"] == "variant"
    assert child.data.tags["mlflow.source.name"] == "digits"
    assert child.info.status == "FINISHED"
    assert client.get_run(parent).data.params == {}


def test_an_unchanged_variant_keeps_its_run_and_a_changed_one_gets_a_new_one(
    make_tracker: MakeTracker, client: Any
) -> None:
    children = []
    for fingerprint in ("f1", "f1", "f2"):
        tracker = make_tracker()
        tracker.start("m", fresh=not children)
        tracker.handle("compress", dataclasses.replace(VARIANT, fingerprint=fingerprint))
        tracker.finish("FINISHED")
        children.append(tracker.children()["int8/onnx"])
    assert children[0] == children[1] != children[2]
    assert client.get_run(children[0]).data.tags["tfconv.superseded"] == "true"
    assert client.get_run(children[2]).data.tags["tfconv.superseded"] == "false"
    assert len(runs_of(client)) == 3


def test_a_run_that_redoes_later_steps_continues_the_model_s_parent(
    make_tracker: MakeTracker,
) -> None:
    first = make_tracker()
    parent = first.start(None, fresh=True)
    first.model_made("m")
    first.finish("FINISHED")
    assert make_tracker().start("m", fresh=False) == parent
    second = make_tracker()
    assert second.start("m", fresh=True) != parent


def test_an_interrupted_parent_is_continued_and_a_failed_one_is_not(
    make_tracker: MakeTracker,
) -> None:
    ids = []
    for status in ("KILLED", "FAILED", "FINISHED"):
        tracker = make_tracker()
        ids.append(tracker.start(None, fresh=True))
        tracker.finish(status)
    assert ids[0] == ids[1] != ids[2]


def test_a_parent_that_a_kill_left_open_is_continued(make_tracker: MakeTracker) -> None:
    left = make_tracker().start("m", fresh=True)
    assert make_tracker().start("m", fresh=True) == left


def test_nothing_to_log_opens_no_database(make_tracker: MakeTracker, tmp_path: Path) -> None:
    tracker = make_tracker()
    parent = tracker.start("m", fresh=True)
    tracker.replay("train", "f", [Metric(name="loss", value=1.0)])
    tracker.finish("FINISHED")
    (tmp_path / "metadata/mlflow.db").unlink()
    again = make_tracker()
    assert again.start("m", fresh=False) == parent
    again.replay("train", "f", never())
    again.finish("FINISHED")
    assert not (tmp_path / "metadata/mlflow.db").exists()
    assert str(again.link()).endswith(f"/runs/{parent}"), "without variants, the run's own page"


def test_a_stored_result_is_logged_into_a_parent_that_lacks_it(
    make_tracker: MakeTracker, client: Any, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    tracker = make_tracker()
    run_id = tracker.start("m", fresh=True)
    events = [Metric(name="loss", value=0.5), ArtifactFile(path=tmp_path / "notes.txt", folder="a")]
    tracker.replay("train", "f", events)
    tracker.finish("FINISHED")
    assert client.get_run(run_id).data.metrics == {"loss": 0.5}
    assert [f.path for f in client.list_artifacts(run_id, "a")] == ["a/notes.txt"]


def test_files_of_a_running_step_wait_for_its_stored_result(
    make_tracker: MakeTracker, client: Any, tmp_path: Path
) -> None:
    (tmp_path / "stored").mkdir()
    (tmp_path / "stored/log.txt").write_text("x")
    tracker = make_tracker()
    run_id = tracker.start("m", fresh=True)
    tracker.handle("train", ArtifactFile(path=tmp_path / "work/log.txt"))
    tracker.handle("train", Metric(name="loss", value=1.0))
    stored = [ArtifactFile(path=tmp_path / "stored/log.txt"), Metric(name="loss", value=1.0)]
    tracker.step_done("train", "f", stored)
    tracker.finish("FINISHED")
    assert [f.path for f in client.list_artifacts(run_id)] == ["log.txt"]
    assert len(client.get_metric_history(run_id, "loss")) == 1
    assert not tracker.notes


def test_a_parent_deleted_by_hand_is_made_again_with_all_results(
    make_tracker: MakeTracker, client: Any
) -> None:
    tracker = make_tracker()
    gone = tracker.start("m", fresh=True)
    tracker.replay("train", "f", [Metric(name="loss", value=0.5)])
    tracker.finish("FINISHED")
    client.delete_run(gone)
    again = make_tracker()
    again.start("m", fresh=False)
    again.replay("train", "f", [Metric(name="loss", value=0.5)])
    again.replay("compress", "g", [VARIANT])
    again.finish("FINISHED")
    assert again.run_id != gone
    assert client.get_run(again.run_id).data.metrics == {"loss": 0.5}


def test_a_child_that_the_ledger_missed_is_found_on_the_server(
    make_tracker: MakeTracker, client: Any, tmp_path: Path
) -> None:
    tracker = make_tracker()
    tracker.start("m", fresh=True)
    ledger = (tmp_path / "ledger.json").read_text()
    tracker.handle("compress", VARIANT)
    tracker.settle()
    child = tracker.children()["int8/onnx"]
    (tmp_path / "ledger.json").write_text(ledger)
    again = make_tracker()
    again.start("m", fresh=True)
    again.handle("compress", VARIANT)
    again.finish("FINISHED")
    assert again.children()["int8/onnx"] == child


def test_a_changed_param_becomes_a_tag_and_the_user_is_told(
    make_tracker: MakeTracker, client: Any
) -> None:
    tracker = make_tracker()
    run_id = tracker.start("m", fresh=True)
    tracker.handle("benchmark", Param(name="batch", value=1))
    tracker.settle()
    tracker.handle("benchmark", Param(name="batch", value=2))
    tracker.handle("benchmark", Param(name="threads", value=4))
    tracker.finish("FINISHED")
    run = client.get_run(run_id)
    assert run.data.params == {"batch": "1", "threads": "4"}
    assert run.data.tags["tfconv.param.batch"] == "2"
    assert "batch = 1" in tracker.notes[0]


def test_names_that_mlflow_cannot_hold_are_written_with_underscores(
    make_tracker: MakeTracker, client: Any
) -> None:
    tracker = make_tracker()
    run_id = tracker.start("m", fresh=True)
    tracker.handle("train", Metric(name="precision@5", value=1.0))
    tracker.handle("train", Tag(name="why?", value="w" * 9000))
    tracker.finish("FINISHED")
    assert client.get_run(run_id).data.metrics == {"precision_5": 1.0}


def test_a_tag_with_an_empty_value_is_taken_away(make_tracker: MakeTracker, client: Any) -> None:
    tracker = make_tracker()
    run_id = tracker.start("m", fresh=True)
    tracker.handle("train", Tag(name="notes", value="of the first time"))
    tracker.finish("FINISHED")
    again = make_tracker()
    again.start("m", fresh=False)
    for name in ("notes", "never there"):
        again.handle("train", Tag(name=name, value=""))
    again.finish("FINISHED")
    assert {"notes", "never there"}.isdisjoint(client.get_run(run_id).data.tags)


def test_many_metrics_are_few_requests(make_tracker: MakeTracker) -> None:
    tracker = make_tracker()
    tracker.start("m", fresh=True)
    log_batch = tracker._server.client.log_batch
    calls = []
    tracker._server.client.log_batch = lambda *a, **k: (calls.append(a), log_batch(*a, **k))
    for number in range(2500):
        tracker.handle("train", Metric(name="loss", value=1.0, step=number))
    tracker.finish("FINISHED")
    assert len(calls) <= 6


def test_a_run_of_the_environment_is_used_and_left_open(
    make_tracker: MakeTracker, client: Any, destination: Destination
) -> None:
    experiment = client.create_experiment("theirs")
    theirs = client.create_run(experiment).info.run_id
    tracker = make_tracker(dataclasses.replace(destination, run_id=theirs))
    assert tracker.start("m", fresh=True) == theirs
    assert tracker.env()["MLFLOW_EXPERIMENT_ID"] == experiment
    tracker.handle("train", Metric(name="loss", value=1.0))
    tracker.finish("FINISHED")
    assert client.get_run(theirs).info.status == "RUNNING"
    assert client.get_run(theirs).data.metrics == {"loss": 1.0}


def test_a_run_of_the_environment_that_is_not_there_is_refused(
    make_tracker: MakeTracker, destination: Destination
) -> None:
    tracker = make_tracker(dataclasses.replace(destination, run_id="0" * 32))
    tracker.start("m", fresh=True)
    with pytest.raises(TrackingError, match="MLFLOW_RUN_ID"):
        tracker.env()


def test_a_server_that_fails_in_the_middle_loses_nothing(
    make_tracker: MakeTracker, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlflow_tfconv.tracking.server._PAUSES_S", (0.0,))
    tracker = make_tracker()
    parent = tracker.start("m", fresh=True)

    def down(*_: Any, **__: Any) -> None:
        raise ConnectionError("down")

    monkeypatch.setattr(tracker._server.client, "log_batch", down)
    events = [Metric(name="loss", value=0.5)]
    tracker.handle("train", events[0])
    tracker.step_done("train", "f", events)
    with pytest.raises(TrackingError, match="run the same command again"):
        tracker.finish("FINISHED")
    again = make_tracker()
    assert again.start("m", fresh=False) == parent
    again.replay("train", "f", events)
    again.finish("FINISHED")
    assert client.get_run(parent).data.metrics == {"loss": 0.5}


def test_a_short_fault_is_tried_again(
    make_tracker: MakeTracker, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = make_tracker()
    run_id = tracker.start("m", fresh=True)
    log_batch, faults = tracker._server.client.log_batch, [OSError("locked")]

    def shaky(*args: Any, **options: Any) -> None:
        if faults:
            raise faults.pop()
        log_batch(*args, **options)

    monkeypatch.setattr(tracker._server.client, "log_batch", shaky)
    tracker.handle("train", Metric(name="loss", value=0.5))
    tracker.finish("FINISHED")
    assert client.get_run(run_id).data.metrics == {"loss": 0.5}


def test_a_user_s_own_logging_lands_in_the_parent(
    make_tracker: MakeTracker, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import subprocess
    import sys

    tracker = make_tracker()
    run_id = tracker.start("m", fresh=True)
    for name, value in tracker.env().items():
        monkeypatch.setenv(name, value)
    subprocess.run(
        [sys.executable, "-c", "import mlflow; mlflow.log_metric('mine', 3)"], check=True
    )
    tracker.finish("FINISHED")
    assert client.get_run(run_id).data.metrics == {"mine": 3}


def test_the_chosen_model_becomes_a_version_once(
    make_tracker: MakeTracker, client: Any, doubling_onnx: ModelFile
) -> None:
    request = RegisterModel(
        run="int8/onnx", model_name="digits", alias="champion", description="best", tags={"a": "b"}
    )
    jobs: list[Any] = []

    def run_job(target: str, argument: Any) -> Any:
        from mlflow_tfconv.tracking.tracker import run_here

        jobs.extend(argument)
        return run_here(target, argument)

    for fresh in (True, False):
        tracker = make_tracker(run_job=run_job)
        tracker.start("m", fresh=fresh)
        tracker.replay("compress", "c", [VARIANT, doubling_onnx])
        tracker.handle("register", request)
        tracker.step_done("register", str(fresh), [])
        tracker.finish("FINISHED")
    assert len(jobs) == 1
    assert tracker.registered is not None
    versions = client.search_model_versions("name = 'digits'")
    assert [str(v.version) for v in versions] == ["1"] == [tracker.registered.version]
    found = client.get_model_version_by_alias("digits", "champion")
    assert found.run_id == tracker.children()["int8/onnx"]
    assert (found.description, found.tags) == ("best", {"a": "b"})


def test_a_registered_version_predicts(
    make_tracker: MakeTracker, doubling_onnx: ModelFile, destination: Destination
) -> None:
    import mlflow
    import numpy as np

    tracker = make_tracker()
    tracker.start("m", fresh=True)
    tracker.handle("register", RegisterModel(run="int8/onnx", model_name="d", alias="champion"))
    tracker.replay("compress", "c", [VARIANT, doubling_onnx])
    tracker.finish("FINISHED")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(destination.tracking_uri)
    try:
        model = mlflow.pyfunc.load_model("models:/d@champion")
    finally:
        mlflow.set_tracking_uri(before)
    x = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(model.predict({"x": x})["y"], 2 * x)


def test_a_model_that_comes_back_different_is_an_error(
    make_tracker: MakeTracker, doubling_onnx: ModelFile
) -> None:
    def run_job(target: str, argument: Any) -> Any:
        return [{"failure": None, "problem": "It predicts 3 away from its own file.", "uri": "u"}]

    tracker = make_tracker(run_job=run_job)
    tracker.start("m", fresh=True)
    tracker.replay("compress", "c", [VARIANT, doubling_onnx])
    with pytest.raises(TrackingError, match=r"int8/onnx.*3 away"):
        tracker.finish("FINISHED")


def test_a_step_whose_models_are_not_logged_yet_is_replayed_by_the_next_run(
    make_tracker: MakeTracker, doubling_onnx: ModelFile
) -> None:
    tracker = make_tracker()
    tracker.start("m", fresh=True)
    tracker.replay("compress", "c", [VARIANT, doubling_onnx])
    tracker.finish("KILLED")
    again = make_tracker()
    again.start("m", fresh=False)
    again.replay("compress", "c", [VARIANT, doubling_onnx])
    again.finish("FINISHED")
    assert again._ledger.child(str(again.run_id), "int8/onnx")["model"] is not None


def test_the_link_s_filter_finds_the_children_that_count(
    make_tracker: MakeTracker, client: Any
) -> None:
    from urllib.parse import parse_qs

    tracker = make_tracker()
    tracker.start("m", fresh=True)
    tracker.handle("compress", VARIANT)
    tracker.handle("compress", dataclasses.replace(VARIANT, fingerprint="f2"))
    tracker.finish("FINISHED")
    fields = parse_qs(str(tracker.link()).partition("?")[2])
    experiment = client.get_experiment_by_name("digits").experiment_id
    found = client.search_runs(
        [experiment], fields["searchFilter"][0], order_by=[f"{fields['orderByKey'][0]} ASC"]
    )
    assert [run.info.run_id for run in found] == [tracker.children()["int8/onnx"]]


def test_the_parent_says_what_came_out(
    make_tracker: MakeTracker, client: Any, doubling_onnx: ModelFile
) -> None:
    tracker = make_tracker()
    parent = tracker.start("m", fresh=True)
    tracker.replay("compress", "c", [VARIANT, doubling_onnx])
    for name, value in {"latency/p50_ms": 2.5, "quality/accuracy": 0.75}.items():
        tracker.handle("benchmark", Metric(name=name, value=value, run="int8/onnx"))
    tracker.handle("register", RegisterModel(run="int8/onnx", model_name="d", alias="champion"))
    tracker.finish("FINISHED")
    link, registered, table = client.get_run(parent).data.tags["mlflow.note.content"].split("\n\n")
    assert link == f"[Compare the variants]({tracker.link()})"
    assert registered == "Registered **int8/onnx** as d version 1, alias champion."
    assert table.splitlines()[0] == "| variant | accuracy | p50_ms |"
    assert table.splitlines()[2] == "| int8/onnx | 0.75 | 2.5 |"


def test_a_description_of_the_user_s_own_is_left_alone(
    make_tracker: MakeTracker, client: Any
) -> None:
    first = make_tracker()
    parent = first.start("m", fresh=True)
    first.finish("FINISHED")
    client.set_tag(parent, "mlflow.note.content", "The good one.")
    second = make_tracker()
    second.start("m", fresh=False)
    second.replay("compress", "c", [VARIANT])
    second.finish("FINISHED")
    assert client.get_run(parent).data.tags["mlflow.note.content"] == "The good one."
