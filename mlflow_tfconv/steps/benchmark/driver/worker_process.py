"""Runs the worker in a fresh process and says in words how it died, when it does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow_tfconv.environment import DEFAULTS
from mlflow_tfconv.errors import BenchmarkError, DeviceError
from mlflow_tfconv.steps.benchmark.worker.job import RESULT_FILE, Job

WORKER = (sys.executable, "-m", "mlflow_tfconv.steps.benchmark.worker")
LOG_FILE = "worker.log"
_LAST_LINES = 6
_QUIET = {**DEFAULTS, "TF_CPP_MIN_LOG_LEVEL": "2", "KERAS_BACKEND": "tensorflow"}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLimits:
    """How a worker is run.

    Attributes:
        time_limit_s: It is killed after this long.
        command: What starts it; the job's file is added.
    """

    time_limit_s: float
    command: Sequence[str] = WORKER


def run_worker(job: Job, limits: WorkerLimits) -> dict[str, Any]:
    """Runs one job to its end.

    Returns:
        What the worker has written into result.json.

    Raises:
        DeviceError: The worker says that the device is not there or was not used.
        BenchmarkError: It failed otherwise, crashed, or took too long.
    """
    folder = Path(job.folder)
    job_file, log_file = folder / "job.json", folder / LOG_FILE
    job.write(job_file)
    with log_file.open("wb") as log:
        code = _ended(_started([*limits.command, str(job_file)], job, log), limits, log_file)
    job_file.unlink()  # it names folders that will have moved
    result = _read(folder / RESULT_FILE)
    if "error" in result:
        raise _told(result["error"])
    if code != 0 or not result:
        raise BenchmarkError(_how_it_ended(code), received=_last_words(log_file), fix=_advice(code))
    return result


def _started(command: Sequence[str], job: Job, log: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_environment(job)
    )


def _environment(job: Job) -> dict[str, str]:
    home = str(Path(__file__).parents[4])
    path = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))
    hidden: Mapping[str, str] = {"CUDA_VISIBLE_DEVICES": "-1"} if job.device == "cpu" else {}
    return {**_QUIET, **os.environ, **hidden, "PYTHONPATH": path, "PYTHONFAULTHANDLER": "1"}


def _ended(process: subprocess.Popen[bytes], limits: WorkerLimits, log_file: Path) -> int:
    try:
        return process.wait(timeout=limits.time_limit_s)
    except subprocess.TimeoutExpired as e:
        raise BenchmarkError(
            f"It took longer than {limits.time_limit_s:g} s and was stopped.",
            received=_last_words(log_file),
            expected=f"a result within {limits.time_limit_s:g} s",
            fix="Set steps.benchmark.time_limit_s higher if the model is just slow.",
        ) from e
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _read(file: Path) -> dict[str, Any]:
    try:
        result: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return result


def _told(error: dict[str, Any]) -> DeviceError | BenchmarkError:
    kind = DeviceError if error.pop("kind") == "DeviceError" else BenchmarkError
    return kind(error.pop("what"), **error)


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"Its process left with exit code {code} and without a result."
    name = signal.Signals(-code).name
    if -code == signal.SIGKILL:
        return f"Its process was killed ({name}), as the kernel does when memory is short."
    return f"Its process crashed inside the runtime ({name}: {signal.strsignal(-code)})."


def _advice(code: int) -> str:
    if -code == signal.SIGKILL:
        return "Use smaller batch_sizes, or a machine with more memory."
    return "Load the file by hand in the same runtime; another version of it may do better."


def _last_words(log_file: Path) -> str | None:
    lines = log_file.read_text(errors="replace").splitlines() if log_file.is_file() else []
    return "\n".join([line for line in lines if line.strip()][-_LAST_LINES:]) or None
