from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import psutil
import pytest

from mlflow_tfconv.engine.store import Store
from mlflow_tfconv.errors import DataError, StepCrashedError, StepError, UserCodeError


def test_results_travel_and_carry_their_events(run, ear, tmp_path):
    done = run()
    assert (done["train"].output.path).read_text() == "3"
    assert [e.name for e in done["train"].events(tmp_path)] == ["count"] * 3
    assert ear.cached == {"ingest": False, "train": False}


def test_nothing_changed_starts_no_process(run, ear, monkeypatch):
    run()
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("started a process"))
    run()
    assert ear.started == ["ingest", "train"]
    assert ear.cached == {"ingest": True, "train": True}


def test_a_changed_setting_runs_its_step_and_those_after_it(run, ear):
    run()
    run(text="other words")
    assert ear.started == ["ingest", "train"] * 2


def test_settings_of_a_later_step_leave_the_earlier_alone(run, ear):
    run()
    run(upto=2)
    assert ear.started == ["ingest", "train", "train"]
    assert ear.why == ("config.upto",)


def test_going_back_to_earlier_settings_runs_nothing(run, ear):
    run()
    run(text="other")
    run()
    assert ear.started == ["ingest", "train"] * 2


def test_a_module_that_user_code_imports_counts(run, ear, root):
    run()
    (root / "steps" / "words.py").write_text("WORDS = 2\n")
    run()
    assert ear.started == ["ingest", "train", "ingest"]  # the same words came out: train is kept
    assert ear.why == ("steps/words.py",)


def test_a_file_that_user_code_opened_counts_even_with_size_and_name_unchanged(run, ear, root):
    (root / "data.txt").write_text("one")
    run(read="data.txt")
    (root / "data.txt").write_text("two")
    done = run(read="data.txt")
    assert done["ingest"].output.digest == "two"
    assert ear.reasons["ingest"] == (str(root / "data.txt"),)


def test_another_version_of_a_library_counts(run, ear, monkeypatch):
    run()
    from importlib import metadata

    real = metadata.version
    monkeypatch.setattr(metadata, "version", lambda n: "99" if n == "rich" else real(n))
    run()
    assert ear.started == ["ingest", "train", "ingest"]


def test_a_damaged_result_is_made_again(run, ear):
    done = run()
    done["ingest"].output.manifest.write_text("tampered")
    run()
    assert ear.started == ["ingest", "train", "ingest"]
    assert ear.reasons["ingest"] == ("the files that ingest made",)


def test_verify_sees_a_change_that_stat_does_not_show(run, ear, monkeypatch, tmp_path):
    monkeypatch.setattr("mlflow_tfconv.engine.digests._SETTLED_NS", 0)
    manifest = run()["ingest"].output.manifest
    run()
    stat = manifest.stat()
    before = Path.stat

    def frozen(path, **kwargs):
        return stat if path == manifest else before(path, **kwargs)

    with manifest.open("r+") as file:
        file.write("W")
    monkeypatch.setattr(Path, "stat", frozen)
    run()
    assert ear.started == ["ingest", "train"]
    run(verify=True)
    assert ear.started == ["ingest", "train", "ingest"]


def test_a_killed_step_goes_on_where_it_was(run, ear):
    with pytest.raises(StepCrashedError, match="SIGKILL"):
        run(fail="kill-once")
    run(fail="kill-once")
    assert [e.value for e in ear.events if getattr(e, "name", "") == "count"] == [0, 1, 2]


def test_a_segfault_is_called_one(run):
    with pytest.raises(StepCrashedError, match="crashed in native code"):
        run(fail="segfault")


def test_an_exit_without_a_result_is_told(run):
    with pytest.raises(StepCrashedError, match="status 3 without a result"):
        run(fail="exit")


def test_the_users_error_comes_first_with_file_and_line(run):
    with pytest.raises(UserCodeError) as caught:
        run(fail="theirs")
    lines = str(caught.value).splitlines()
    assert lines[0] == "train failed: ZeroDivisionError: division by zero"
    assert lines[1].strip() == "steps/train.py, line 2, in model_fn"
    assert "Traceback" not in str(caught.value)


def test_our_own_errors_keep_their_parts(run):
    with pytest.raises(DataError) as caught:
        run(fail="ours")
    assert caught.value.expected == "16"
    assert caught.value.fix == "copy it again"
    assert caught.value.log.endswith(".log")


def test_the_log_holds_the_whole_story(run, tmp_path):
    with pytest.raises(UserCodeError):
        run(fail="theirs")
    (log,) = (tmp_path / "state" / "logs").glob("train-*.log")
    assert "Traceback" in log.read_text()


def test_a_failed_step_is_remembered(run, tmp_path):
    with pytest.raises(DataError):
        run(fail="ours")
    records = Store(tmp_path / "state").records("local")
    assert records["ingest"].status == "done"
    assert records["train"].status == "failed"
    assert "the shard is cut" in records["train"].error


def test_ctrl_c_ends_the_steps_process_too(run, ear, tmp_path):
    pids = []

    class Interrupting(type(ear)):
        def handle(self, step, event):
            if getattr(event, "step", None) == 1:
                pids.extend(p.pid for p in psutil.Process().children(recursive=True))
                threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()

    with pytest.raises(KeyboardInterrupt):
        run(listener=Interrupting(), fail="sleep")
    assert len(pids) == 2  # the server and the step
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert Store(tmp_path / "state").records("local")["train"].status == "interrupted"


def test_a_file_added_to_a_folder_that_user_code_listed_counts(run, ear, root):
    (root / "data").mkdir()
    (root / "data" / "a.txt").write_text("one")
    run(read="data/*.txt")
    run(read="data/*.txt")
    (root / "data" / "b.txt").write_text("two")
    done = run(read="data/*.txt")
    assert done["ingest"].output.digest == "onetwo"
    assert ear.started == ["ingest", "train", "ingest", "train"]
    assert ear.reasons["ingest"] == (f"the files in {root / 'data'}",)


def test_a_module_that_is_imported_by_a_computed_name_counts(run, ear, root):
    (root / "steps" / "hidden.py").write_text("TEXT = 'one'\n")
    run(read="hidden")
    run(read="hidden")
    (root / "steps" / "hidden.py").write_text("TEXT = 'two'\n")
    assert run(read="hidden")["ingest"].output.digest == "two"
    assert ear.started == ["ingest", "train", "ingest", "train"]


def test_an_event_that_is_none_is_refused_in_the_step(run):
    with pytest.raises(StepError, match="no event"):
        run(fail="nonsense")


def test_a_device_option_counts():
    from sample_steps import WriteConfig, WriteStep

    from mlflow_tfconv.device import Device, DeviceOptions
    from mlflow_tfconv.engine.digests import Digests
    from mlflow_tfconv.engine.plan import Plan, fingerprint
    from mlflow_tfconv.engine.step import StepContext

    class OnDevice(WriteStep):
        reads = ("device",)

    marks = set()
    for threads in (1, 2):
        device = Device(options=DeviceOptions(intra_op_threads=threads))
        steps = (OnDevice(WriteConfig()),)
        plan = Plan(root=Path("/no"), profile="p", steps=steps, context=StepContext(device=device))
        marks.add(fingerprint(steps[0], plan, {}, Digests()))
    assert len(marks) == 2
