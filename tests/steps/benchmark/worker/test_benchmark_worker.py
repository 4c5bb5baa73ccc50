"""The worker in its own process: light for ONNX, obedient, and clear in every way it can end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import mlflow_tfconv
from mlflow_tfconv.errors import BenchmarkError, DeviceError
from mlflow_tfconv.steps.benchmark.driver.worker_process import Worker
from mlflow_tfconv.steps.benchmark.examples import store_batch
from mlflow_tfconv.steps.benchmark.worker.job import Job, samples_file

HOME = Path(mlflow_tfconv.__file__).parents[1]
TURN = {"min_time_s": 0.01, "min_count": 5, "warmup_time_s": 0.0, "warmup_limit_s": 0.02}
_MODULES_AFTER = """
import sys
from mlflow_tfconv.steps.benchmark.worker import __main__ as worker
assert worker.main(sys.argv[1:]) == 0
print(*sys.modules)
"""


@pytest.fixture
def job(tmp_path: Path, make_model: Any) -> Any:
    """A job for a tiny model, with what the test changes."""

    def make(**changes: Any) -> Job:
        folder = tmp_path / "work"
        folder.mkdir(exist_ok=True)
        model = changes.pop("model", None) or make_model()
        usual = {"model": str(model), "format": "onnx", "folder": str(folder)}
        return Job(**{**usual, "batch_sizes": (1, 4), **changes})

    return make


@pytest.fixture
def start(job: Any) -> Iterator[Any]:
    """Starts workers, which end with the test."""
    workers: list[Worker] = []

    def make(*, time_limit_s: float = 60, command: Any = None, **changes: Any) -> Worker:
        own = {} if command is None else {"command": command}
        worker = Worker(job=job(**changes), time_limit_s=time_limit_s, **own)
        workers.append(worker.__enter__())
        return worker

    yield make
    for worker in workers:
        worker.close()


def store_inputs(folder: Path, count: int) -> str:
    folder.mkdir()
    store_batch(folder, 0, {"x": np.ones((count, 4), np.float32)})
    return str(folder)


def commands_file(folder: Path) -> Path:
    """Opens, predicts, and times once."""
    turn = {"command": "time", "batch_size": 1, "turn": 0, **TURN}
    lines = [{"command": "open"}, {"command": "predict"}, turn]
    file = folder / "commands.jsonl"
    file.write_text("\n".join(json.dumps(line) for line in lines))
    return file


def test_an_opened_model_is_timed_turn_by_turn_and_every_timing_kept(start: Any) -> None:
    worker = start()
    assert worker.ask("open")["batch_sizes"] == [1, 4]
    for turn in range(2):
        told = worker.ask("time", batch_size=4, turn=turn, **TURN)
        samples = np.load(samples_file(Path(worker.job.folder), 4, turn))
        assert len(samples) == told["count"] >= 5
        assert samples.dtype == np.int64


def test_loading_optimization_and_first_run_are_timed_apart(start: Any) -> None:
    startup = start().ask("open")["startup"]
    assert all(startup[f"{name}_ns"] > 0 for name in ("load", "optimization", "first_run"))


def test_the_record_of_the_start_is_not_left_behind(start: Any) -> None:
    worker = start()
    worker.ask("open")
    assert not list(Path(worker.job.folder).glob("startup*"))


def test_all_examples_are_predicted(start: Any, tmp_path: Path) -> None:
    worker = start(examples=store_inputs(tmp_path / "examples", 6))
    worker.ask("open")
    (output,) = worker.ask("predict")["outputs"]
    assert np.load(Path(worker.job.folder) / output["file"]).shape == (6, 3)


def test_a_turn_ends_at_its_limit_however_many_runs_are_asked_for(start: Any) -> None:
    worker = start()
    worker.ask("open")
    limits = {**TURN, "min_count": 10**9, "limit_s": 0.01}
    assert worker.ask("time", batch_size=1, turn=0, **limits)["count"] >= 1


def test_what_libraries_print_does_not_get_between_the_answers(start: Any, tmp_path: Path) -> None:
    noisy = tmp_path / "noisy.py"
    noisy.write_text(
        "import os, sys, threading\n"
        "from mlflow_tfconv.steps.benchmark.worker import __main__ as worker, conversation\n"
        "own = conversation.answered\n"
        "def chatty(*a):\n    print('chatter'); os.write(1, b'more\\n'); return own(*a)\n"
        "conversation.answered = chatty\n"
        "worker.main(sys.argv[1:])\n"
    )
    worker = start(command=(sys.executable, str(noisy)))
    assert worker.ask("open")["batch_sizes"] == [1, 4]
    assert "more" in worker.log.read_text()


def test_the_worker_of_an_onnx_file_imports_neither_tensorflow_nor_mlflow(
    job: Any, tmp_path: Path
) -> None:
    job().write(tmp_path / "job.json")
    arguments = [str(tmp_path / "job.json"), "--commands", str(commands_file(tmp_path))]
    done = subprocess.run(
        [sys.executable, "-c", _MODULES_AFTER, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(HOME)},
    )
    loaded = set(done.stdout.split())
    heavy = {"tensorflow", "mlflow", "keras", "pandas", "pyarrow", "onnx", "pydantic", "h5py"}
    assert "onnxruntime" in loaded
    assert not loaded & heavy


def test_a_model_of_a_fixed_batch_is_timed_at_that_batch(start: Any, make_model: Any) -> None:
    told = start(model=make_model(batch=2)).ask("open")
    assert told["batch_sizes"] == [2]
    assert "takes batches of exactly 2" in told["notes"][0]


def test_a_fixed_batch_still_predicts_every_example(
    start: Any, make_model: Any, tmp_path: Path
) -> None:
    worker = start(model=make_model(batch=4), examples=store_inputs(tmp_path / "examples", 6))
    worker.ask("open")
    (output,) = worker.ask("predict")["outputs"]
    assert np.load(Path(worker.job.folder) / output["file"]).shape == (6, 3)


def test_a_variant_is_loaded_with_its_session_options(start: Any) -> None:
    options = {"disabled_optimizers": ["ConstantFolding"], "session.disable_prepacking": "1"}
    assert start(session_options=options).ask("open")["batch_sizes"]


def test_a_file_that_is_no_model_is_an_error_of_the_variant(start: Any, tmp_path: Path) -> None:
    (tmp_path / "no.onnx").write_text("hello")
    with pytest.raises(BenchmarkError, match="can't load this file"):
        start(model=tmp_path / "no.onnx").ask("open")


def test_a_worker_outlives_a_command_that_failed(start: Any) -> None:
    worker = start()
    with pytest.raises(BenchmarkError, match="not open"):
        worker.ask("predict")
    with pytest.raises(BenchmarkError, match="no such command"):
        worker.ask("juggle")
    assert worker.ask("open")["batch_sizes"]


def test_a_hanging_model_is_stopped(start: Any, endless_model: Path) -> None:
    worker = start(model=endless_model, time_limit_s=3)
    with pytest.raises(BenchmarkError, match="longer than 3 s"):
        worker.ask("open")
    assert not worker.alive


def test_a_crash_is_told_by_its_signal_and_its_last_words(
    start: Any, crashing: tuple[str, ...]
) -> None:
    with pytest.raises(BenchmarkError, match="SIGSEGV") as error:
        start(command=crashing).ask("open")
    assert error.value.received == "about to compute"


def test_a_worker_ends_when_nobody_speaks_to_it_any_more(start: Any) -> None:
    worker = start()
    worker.ask("open")
    worker.close()
    assert not worker.alive
    worker.close()  # twice does no harm


def test_workers_end_with_a_driver_that_is_killed(job: Any, tmp_path: Path) -> None:
    job().write(tmp_path / "job.json")
    driver = (
        "import subprocess, sys, time\n"
        "worker = subprocess.Popen([sys.executable, '-m', 'mlflow_tfconv.steps.benchmark.worker',"
        f" {str(tmp_path / 'job.json')!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        'worker.stdin.write(b\'{"command": "open"}\\n\'); worker.stdin.flush()\n'
        "worker.stdout.readline(); print(worker.pid, flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", driver], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert is_gone(pid)


def is_gone(pid: int) -> bool:
    """Whether a process ends within a few seconds."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    return False


def test_a_missing_gpu_is_an_error_and_not_a_slow_result(start: Any) -> None:
    with pytest.raises((DeviceError, BenchmarkError), match=r"63|CUDAExecutionProvider"):
        start(device="cuda:63").ask("open")


@pytest.mark.gpu
def test_a_real_gpu_is_used(start: Any) -> None:
    told = start(device="cuda:0").ask("open")
    assert told["surroundings"]["providers"][0] == "CUDAExecutionProvider"


def test_the_worker_needs_numpy_and_onnxruntime_only(job: Any, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    for module in (np, onnxruntime):
        home = Path(str(module.__file__)).parent
        (site / home.name).symlink_to(home)
    venv.create(tmp_path / "bare", with_pip=False)
    asked = job()
    asked.write(tmp_path / "job.json")
    worker = [tmp_path / "bare" / "bin" / "python", "-m", "mlflow_tfconv.steps.benchmark.worker"]
    subprocess.run(
        [*worker, tmp_path / "job.json", "--commands", commands_file(tmp_path)],
        check=True,
        env={"PYTHONPATH": f"{HOME}:{site}"},
    )
    told = json.loads((Path(asked.folder) / "result.json").read_text())
    assert [answer["command"] for answer in told["answers"]] == ["open", "predict", "time"]
    assert all("ok" in answer for answer in told["answers"])
