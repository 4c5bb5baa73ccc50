"""Jobs that misbehave, and errors of every shape."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from pathlib import Path

import pytest

from mlflow_tfconv.artifacts import ParityReport
from mlflow_tfconv.engine.calls import call_in_process
from mlflow_tfconv.engine.child import describe
from mlflow_tfconv.engine.failures import error_of_end, error_of_failure
from mlflow_tfconv.engine.jobs import JobEnd, JobServer
from mlflow_tfconv.errors import ParityError, StepCrashedError, UserCodeError


@pytest.fixture
def jobs(tmp_path):
    sys.path.insert(0, str(Path(__file__).parent))
    with JobServer(tmp_path / "server.log", preload=()) as server:
        yield server
    sys.path.pop(0)


def call(jobs, tmp_path, name, value):
    return call_in_process(jobs, f"test_engine_hard_cases:{name}", value, log=tmp_path / "call.log")


def leave_a_process(folder):
    pid = os.fork()
    if pid == 0:
        time.sleep(60)
    return pid


def close_the_streams(value):
    sys.stdout.close()
    return value


def print_and_die(value):
    print("the last words")
    os.kill(os.getpid(), 11)


def say_good_bye(file):
    atexit.register(lambda: Path(file).write_text("bye"))
    threading.Thread(target=time.sleep, args=(60,)).start()


def give_much(size):
    return "x" * size


def test_what_a_job_started_ends_with_it(jobs, tmp_path):
    pid = call(jobs, tmp_path, "leave_a_process", None)
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists() or ") Z " in Path(f"/proc/{pid}/stat").read_text():
            return
        time.sleep(0.02)
    pytest.fail("it outlived the job")


def test_a_job_that_closes_its_streams_leaves_the_server_alone(jobs, tmp_path):
    assert call(jobs, tmp_path, "close_the_streams", 1) == 1
    assert call(jobs, tmp_path, "close_the_streams", 2) == 2


def test_what_was_printed_before_a_crash_is_in_the_log(jobs, tmp_path):
    with pytest.raises(StepCrashedError, match="the last words"):
        call(jobs, tmp_path, "print_and_die", None)


def test_what_a_job_wants_done_at_its_exit_is_done(jobs, tmp_path):
    call(jobs, tmp_path, "say_good_bye", str(tmp_path / "bye"))
    assert (tmp_path / "bye").read_text() == "bye"


def test_a_long_line_and_a_long_request_come_through(jobs, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, *(f"/no/such/{n:0100}" for n in range(2000))])
    assert len(call(jobs, tmp_path, "give_much", 30_000_000)) == 30_000_000


def test_a_server_that_dies_is_told_with_its_own_log_and_another_follows(tmp_path, monkeypatch):
    (tmp_path / "dies.py").write_text("import os; print('no AVX', flush=True); os.abort()")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with JobServer(tmp_path / "server.log", preload=("dies",)) as jobs:
        for _ in range(2):
            with pytest.raises(StepCrashedError, match=r"(?s)SIGABRT.*no AVX.*dies.py") as caught:
                call(jobs, tmp_path, "give_much", 1)
            assert caught.value.log == str(tmp_path / "server.log")


def test_a_file_of_the_users_is_not_taken_for_a_library(tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise RuntimeError('not this one')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    with JobServer(tmp_path / "server.log", preload=()) as jobs:
        assert call(jobs, tmp_path, "give_much", 1) == "x"


def failure(root: Path, code: str, name: str = "steps.py") -> str:
    (root / name).write_text(code)
    try:
        exec(compile(code, str(root / name), "exec"), {"__name__": "steps"})  # noqa: S102 (as an import would)
    except BaseException as error:  # noqa: BLE001 (SystemExit is among them)
        return str(error_of_failure("train", describe(error, root)))
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(
    ("code", "first", "second"),
    [
        ("x = 1\nraise ValueError('one\\ntwo')", "ValueError: one", "steps.py, line 2"),
        ("raise SystemExit(0)", "SystemExit: 0", "steps.py, line 1"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", "steps.py, line 1"),
        ("import json\njson.loads('{')", "JSONDecodeError: Expecting", "steps.py, line 2"),
        ("compile('x =', __file__, 'exec')", "NameError", "steps.py, line 1"),
    ],
)
def test_the_users_line_comes_right_after_the_first_line_of_the_error(
    tmp_path, code, first, second
):
    lines = failure(tmp_path, code).splitlines()
    assert first in lines[0]
    assert second in lines[1]


def test_a_group_of_errors_tells_all_and_where(tmp_path):
    code = "raise ExceptionGroup('two', [ValueError('a'), KeyError('b')])"
    text = failure(tmp_path, code)
    assert all(part in text for part in ("two (2 sub", "ValueError: a", "KeyError: 'b'", "line 1"))


def test_a_syntax_error_in_an_imported_file_is_told_at_its_own_line(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "wrong_here.py").write_text("x = 1\ny = (\n")
    lines = failure(tmp_path, "import wrong_here").splitlines()
    assert lines[0] == "train failed: SyntaxError: '(' was never closed"
    assert "wrong_here.py, line 2" in lines[1]


def test_a_long_message_is_cut_and_the_log_has_the_rest(tmp_path):
    text = failure(tmp_path, "raise ValueError('\\n'.join(map(str, range(100))))")
    assert len(text.splitlines()) < 30
    assert "more lines in the log" in text


def test_our_error_raised_over_the_users_names_the_users_line(tmp_path):
    code = (
        "from mlflow_tfconv.errors import DataError\n"
        "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise DataError('bad') from e\n"
    )
    assert "steps.py, line 5" in failure(tmp_path, code)


def test_a_parity_error_keeps_its_report_on_the_way(tmp_path):
    report = ParityReport(
        reference=Path("/a"),
        candidate=tmp_path / "b",
        passed=False,
        max_abs_error=1.0,
        max_rel_error=1.0,
        absolute_tolerance=0.1,
        relative_tolerance=0.1,
        examples=1,
    )
    told = error_of_failure(
        "convert", describe(ParityError("they differ", report=report), Path("/"))
    )
    assert isinstance(told, ParityError)
    assert told.report.max_abs_error == 1.0


def test_a_users_exception_without_a_line_of_theirs_is_no_error_of_theirs(tmp_path):
    told = error_of_failure("train", describe(ValueError("x"), tmp_path))
    assert not isinstance(told, UserCodeError)


def test_a_signal_without_a_name_is_told(tmp_path):
    end = JobEnd(exit_code=None, signal=40, peak_mb=0, killed_for_memory=False)
    assert "signal 40" in str(error_of_end("train", end, tmp_path / "log"))
