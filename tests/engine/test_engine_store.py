"""The store: kills between any two operations, leftovers, a full disk."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from mlflow_tfconv.artifacts import Checkpoint
from mlflow_tfconv.engine.cards import Card
from mlflow_tfconv.engine.codec import encode
from mlflow_tfconv.engine.digests import Digests
from mlflow_tfconv.engine.events import Metric
from mlflow_tfconv.engine.lock import only_run, running_since
from mlflow_tfconv.engine.overview import step_views
from mlflow_tfconv.engine.plan import Plan
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.engine.store import EVENTS_FILE, RESULT_FILE, StepRecord, Store
from mlflow_tfconv.errors import StepError


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "state")


def work(store: Store, text: str = "weights") -> None:
    """A work folder as a step's process leaves it."""
    folder = store.work_folder("train", "abc")
    folder.mkdir(parents=True)
    (folder / "model").write_text(text)
    data = {
        "output": encode(Checkpoint(path=folder / "model"), folder),
        "card": encode(Card(title="trained"), folder),
        "opened": [],
        "listed": [],
    }
    (folder / RESULT_FILE).write_text(json.dumps(data))


class Killed(BaseException):
    """What a kill -9 is to the program: nothing after it runs."""


def kill_at(monkeypatch, moment: int) -> None:
    """Ends the program at the n-th operation on the file system."""
    left = [moment]

    def counted(real):
        def operation(*arguments, **options):
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return real(*arguments, **options)

        return operation

    for owner, name in ((os, "replace"), (os, "rename"), (os, "fdopen"), (os, "rmdir")):
        monkeypatch.setattr(owner, name, counted(getattr(owner, name)))
    for name in ("unlink", "replace"):
        monkeypatch.setattr(Path, name, counted(getattr(Path, name)))


@pytest.mark.parametrize("moment", range(8))
def test_a_kill_at_any_moment_of_a_commit_leaves_a_whole_result_or_none(store, monkeypatch, moment):
    work(store, "old")
    store.commit("train", "abc", 1.0, Digests())
    (store.result_folder("train", "abc") / "model").write_text("damaged")
    work(store, "new")
    with monkeypatch.context() as patch:
        kill_at(patch, moment)
        with contextlib.suppress(Killed):
            store.commit("train", "abc", 1.0, Digests())
    found = store.lookup("train", "abc", Digests())
    assert found is None or found.output.path.read_text() == "new"
    if found is None:
        shutil.rmtree(store.work_folder("train", "abc"), ignore_errors=True)
        work(store, "new")
        store.commit("train", "abc", 1.0, Digests())
    store.sweep()
    assert store.lookup("train", "abc", Digests()).output.path.read_text() == "new"
    assert [p.name for p in (store.root / "results" / "train").iterdir()] == ["abc"]


def test_what_killed_runs_left_goes_and_what_a_step_would_go_on_from_stays(store):
    for name in ("train-old", "train-now", "ingest-x"):
        (store.root / "work" / name).mkdir(parents=True)
    (store.root / "work" / "train-old.job").touch()
    (store.root / "parts" / "compress" / ".half-1").mkdir(parents=True)
    (store.root / "parts" / "compress" / "whole").mkdir()
    store.record("local", "train", StepRecord(status="running", fingerprint="now"))
    store.sweep()
    assert [p.name for p in (store.root / "work").iterdir()] == ["train-now"]
    assert [p.name for p in (store.root / "parts" / "compress").iterdir()] == ["whole"]


def test_a_temporary_file_goes_when_nobody_can_be_writing_it_any_more(store):
    store.root.mkdir()
    for name, age in ((".digests.json-new", 0), (".digests.json-old", 7200)):
        file = store.root / name
        file.touch()
        os.utime(file, (file.stat().st_atime, file.stat().st_mtime - age))
    store.sweep()
    assert [p.name for p in store.root.iterdir()] == [".digests.json-new"]


def test_clean_frees_work_folders_too_and_forgets_that_the_step_ran(store):
    work(store)
    store.commit("train", "abc", 1.0, Digests())
    work(store)
    store.work_folder("train", "abc").with_name("train-abc.job").touch()
    store.record("local", "train", StepRecord(status="done", fingerprint="abc"))
    assert store.clean(None) > 0
    assert list((store.root / "work").iterdir()) == []
    assert store.records("local") == {}


def test_a_cut_line_of_events_is_passed_over(store):
    work(store)
    metric = json.dumps(encode(Metric(name="loss", value=1.0), Path("/")))
    file = store.work_folder("train", "abc") / EVENTS_FILE
    file.write_text(f'{{"$kind": "Metr\n{metric}\n{{"$kind"')
    result = store.commit("train", "abc", 1.0, Digests())
    assert [event.name for event in result.events(store.root)] == ["loss"]


def test_a_result_of_another_version_is_none(store):
    work(store)
    folder = store.commit("train", "abc", 1.0, Digests()).folder
    (folder / RESULT_FILE).write_text('["something else"]')
    assert store.lookup("train", "abc", Digests()) is None


def test_a_full_disk_is_told_and_what_was_there_stays(run, monkeypatch, tmp_path):
    run()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("mlflow_tfconv.engine.store.replace_folder", full)
        with pytest.raises(StepError, match=r"(?s)could not be kept.*No space left.*Make room"):
            run(upto=2)
    assert run()["train"].output.path.read_text() == "3"
    assert run(upto=2)["train"].output.path.read_text() == "2"


def test_a_run_that_was_killed_does_not_show_as_running(root, tmp_path):
    from sample_steps import CountConfig, CountStep

    steps = (CountStep(CountConfig()),)
    plan = Plan(root=root, profile="local", steps=steps, context=StepContext(recipe_root=root))
    store = Store(tmp_path / "state")

    def state():
        return step_views(plan, store)[0].label.split()[0]

    store.record("local", "train", StepRecord(status="running", fingerprint="x"))
    assert state() == "interrupted"
    with only_run(store.root):
        assert state() == "interrupted"  # a run of another profile, begun later
        store.record("local", "train", StepRecord(status="running", fingerprint="x"))
        assert state() == "running,"
    assert running_since(store.root) is None
