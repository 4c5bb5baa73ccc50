"""The worker in its own process: light for ONNX, and clear in every way it can end."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import mlflow_tfconv
from mlflow_tfconv.errors import BenchmarkError, DeviceError
from mlflow_tfconv.steps.benchmark.driver.worker_process import WorkerLimits, run_worker
from mlflow_tfconv.steps.benchmark.examples import store_batch
from mlflow_tfconv.steps.benchmark.worker.job import Job, samples_file

LIMITS = WorkerLimits(time_limit_s=60)
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
        timing = {"batch_sizes": (1, 4), "min_time_s": 0.02, "min_count": 5, "warmup_limit_s": 0.1}
        model = changes.pop("model", None) or make_model()
        return Job(
            **{"model": str(model), "format": "onnx", "folder": str(folder), **timing, **changes}
        )

    return make


def store_inputs(folder: Path, count: int) -> str:
    folder.mkdir()
    store_batch(folder, 0, {"x": np.ones((count, 4), np.float32)})
    return str(folder)


def test_an_onnx_file_is_measured_and_every_timing_kept(job: Any, tmp_path: Path) -> None:
    asked = job(examples=store_inputs(tmp_path / "examples", 6))
    result = run_worker(asked, LIMITS)
    for batch in result["batches"]:
        samples = np.load(samples_file(Path(asked.folder), batch["batch_size"]))
        assert len(samples) == batch["count"] >= 5
    outputs = np.load(Path(asked.folder) / result["outputs"][0]["file"])
    assert outputs.shape == (6, 3)
    assert result["load_ns"] > 0
    assert result["surroundings"]["providers"] == ["CPUExecutionProvider"]


def test_the_peak_holds_the_baseline_of_an_empty_worker(job: Any) -> None:
    memory = run_worker(job(), LIMITS)["memory"]
    assert 20e6 < memory["host_baseline_bytes"] < memory["host_peak_bytes"] < 400e6


def test_the_worker_of_an_onnx_file_imports_neither_tensorflow_nor_mlflow(
    job: Any, tmp_path: Path
) -> None:
    job().write(tmp_path / "job.json")
    done = subprocess.run(
        [sys.executable, "-c", _MODULES_AFTER, str(tmp_path / "job.json")],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(Path(mlflow_tfconv.__file__).parents[1])},
    )
    loaded = set(done.stdout.split())
    heavy = {"tensorflow", "mlflow", "keras", "pandas", "onnx", "pydantic", "rich", "h5py"}
    assert "onnxruntime" in loaded
    assert not loaded & heavy


def test_a_model_of_a_fixed_batch_is_timed_at_that_batch(job: Any, make_model: Any) -> None:
    result = run_worker(job(model=make_model(batch=2)), LIMITS)
    assert [batch["batch_size"] for batch in result["batches"]] == [2]
    assert "takes batches of exactly 2" in result["notes"][0]


def test_a_fixed_batch_still_predicts_every_example(
    job: Any, make_model: Any, tmp_path: Path
) -> None:
    asked = job(model=make_model(batch=4), examples=store_inputs(tmp_path / "examples", 6))
    result = run_worker(asked, LIMITS)
    assert np.load(Path(asked.folder) / result["outputs"][0]["file"]).shape == (6, 3)


def test_a_variant_is_loaded_with_its_session_options(job: Any) -> None:
    options = {"disabled_optimizers": ["ConstantFolding"], "session.disable_prepacking": "1"}
    assert run_worker(job(session_options=options), LIMITS)["batches"]


def test_a_file_that_is_no_model_is_an_error_of_the_variant(job: Any, tmp_path: Path) -> None:
    (tmp_path / "no.onnx").write_text("hello")
    with pytest.raises(BenchmarkError, match="can't load this file"):
        run_worker(job(model=tmp_path / "no.onnx"), LIMITS)


def test_a_hanging_model_is_stopped(job: Any, endless_model: Path) -> None:
    with pytest.raises(BenchmarkError, match="longer than 3 s"):
        run_worker(job(model=endless_model), WorkerLimits(time_limit_s=3))


def test_a_crash_is_told_by_its_signal_and_its_last_words(
    job: Any, crashing: tuple[str, ...]
) -> None:
    with pytest.raises(BenchmarkError, match="SIGSEGV") as error:
        run_worker(job(), WorkerLimits(time_limit_s=60, command=crashing))
    assert error.value.received == "about to compute"


def test_a_missing_gpu_is_an_error_and_not_a_slow_result(job: Any) -> None:
    with pytest.raises((DeviceError, BenchmarkError), match=r"63|CUDAExecutionProvider"):
        run_worker(job(device="cuda:63"), LIMITS)


def test_nothing_in_the_folder_names_where_it_lay(job: Any) -> None:
    asked = job()
    run_worker(asked, LIMITS)
    folder = Path(asked.folder)
    assert not (folder / "job.json").exists()
    assert str(folder) not in json.dumps(json.loads((folder / "result.json").read_text()))


@pytest.mark.gpu
def test_a_real_gpu_is_used_and_its_memory_measured(job: Any) -> None:
    result = run_worker(job(device="cuda:0"), LIMITS)
    assert result["surroundings"]["providers"][0] == "CUDAExecutionProvider"
    assert result["memory"]["gpu"]["peak_bytes"] > 0


def test_the_worker_needs_numpy_and_onnxruntime_only(job: Any, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    for module in (np, onnxruntime):
        home = Path(str(module.__file__)).parent
        (site / home.name).symlink_to(home)
    venv.create(tmp_path / "bare", with_pip=False)
    asked = job()
    asked.write(tmp_path / "job.json")
    python = tmp_path / "bare" / "bin" / "python"
    subprocess.run(
        [python, "-m", "mlflow_tfconv.steps.benchmark.worker", tmp_path / "job.json"],
        check=True,
        env={"PYTHONPATH": f"{Path(mlflow_tfconv.__file__).parents[1]}:{site}"},
    )
    assert (Path(asked.folder) / "result.json").is_file()
