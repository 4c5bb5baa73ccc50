"""Measures one variant in a fresh process: `python -m mlflow_tfconv.steps.benchmark.worker JOB`.

For an ONNX file it needs numpy and onnxruntime only, and imports nothing else: neither TensorFlow
nor MLflow is in the measured memory. It writes npy and JSON into the job's folder.

The order matters. The examples to be timed are read first and the libraries imported, and what the
process has taken by then is the baseline. Then the model is loaded and run a few times at each batch
size, and the peak is read. Only after that it is timed, since raw timings of a fast model take
memory of their own, and only after that the whole split is predicted.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.data.user_code import load_user_module
from mlflow_tfconv.device import (
    Device,
    apply_to_tensorflow,
    onnxruntime_in_force,
    proved_onnxruntime,
    tensorflow_in_force,
)
from mlflow_tfconv.errors import TfconvError
from mlflow_tfconv.formats.own_classes import has_own_classes
from mlflow_tfconv.runtimes.runtime import Runtime, open_runtime
from mlflow_tfconv.steps.benchmark.examples import (
    Batch,
    as_stored,
    of_size,
    random_batch,
    size_of,
    split_to,
    stored_batches,
    timing_batches,
)
from mlflow_tfconv.steps.benchmark.worker.job import RESULT_FILE, Job, outputs_file, samples_file
from mlflow_tfconv.steps.benchmark.worker.memory import (
    GpuMemory,
    host_peak_bytes,
    host_resident_bytes,
    opened_gpu_memory,
)
from mlflow_tfconv.steps.benchmark.worker.timing import once_ns, timed

_PR_SET_PDEATHSIG = 1
_USER_FILE = "steps/train.py"
_LIBRARIES = {
    "onnx": ("onnxruntime", "mlflow_tfconv.runtimes.onnx_runtime"),
    "saved_model": ("tensorflow", "mlflow_tfconv.runtimes.saved_model_runtime"),
    "keras": ("tensorflow", "keras", "mlflow_tfconv.runtimes.keras_runtime"),
    "keras_h5": ("tensorflow", "keras", "mlflow_tfconv.runtimes.keras_runtime"),
}


def main(arguments: Sequence[str]) -> int:
    """Runs the job whose file is named; a failure is written down and told by the exit code."""
    _die_with_parent()
    job = Job.read(Path(arguments[0]))
    try:
        result = measured(job) if job.model else proved_device(job)
    except TfconvError as e:
        result = {"error": _told(e)}
    except Exception as e:  # noqa: BLE001 (whatever a runtime raises is this variant's result)
        result = {"error": {"kind": type(e).__name__, "what": f"{type(e).__name__}: {e}"}}
    (Path(job.folder) / RESULT_FILE).write_text(json.dumps(result, indent=1), encoding="utf-8")
    return 1 if "error" in result else 0


def proved_device(job: Job) -> dict[str, Any]:
    """Opens the device without a model.

    Raises:
        DeviceError: It is not there, or can't be used.
    """
    device = job.parsed_device()
    if job.format == "onnx":
        proved_onnxruntime(device)
    else:
        apply_to_tensorflow(device)
    return {"device": str(device)}


def measured(job: Job) -> dict[str, Any]:
    """Everything that is measured of the job's variant, as plain values."""
    device, folder = job.parsed_device(), Path(job.folder)
    gpu = opened_gpu_memory(device.indices[0]) if device.indices else None
    examples = _timing_examples(job)
    _start_libraries(job, device)
    baseline, started = host_peak_bytes(), time.perf_counter_ns()
    runtime = open_runtime(
        Path(job.model), job.format, device=device, session_options=job.session_options or None
    )
    load_ns, resident = time.perf_counter_ns() - started, host_resident_bytes()
    sizes = _possible_sizes(runtime, job.batch_sizes)
    examples = examples or {n: [random_batch(runtime.inputs, n)] for n in sizes}
    fitting = {n: examples.get(n) or [of_size(b, n) for b in _any_of(examples)] for n in sizes}
    first_ns = once_ns(partial(runtime.predict, fitting[sizes[0]][0]))
    _rehearse(runtime, fitting, gpu)
    memory: dict[str, Any] = {
        "host_baseline_bytes": baseline,
        "host_resident_bytes": resident,
        "host_peak_bytes": host_peak_bytes(),
        "gpu": gpu.peak() if gpu else {},
    }
    batches = [_timed(job, runtime, size, fitting[size]) for size in sizes]
    outputs = _predicted(job, runtime, max(sizes))
    return {
        "load_ns": load_ns,
        "first_run_ns": first_ns,
        "batches": batches,
        "memory": memory,
        "outputs": [_stored(folder, n, *output) for n, output in enumerate(outputs.items())],
        "notes": _notes(job, runtime, memory["gpu"]),
        "surroundings": _surroundings(job, runtime),
    }


def _timing_examples(job: Job) -> dict[int, list[Batch]]:
    if job.examples is None:
        return {}
    folder = Path(job.examples)
    return {size: timing_batches(stored_batches(folder), size) for size in job.batch_sizes}


def _start_libraries(job: Job, device: Device) -> None:
    """Imports what the format needs and starts the device, so that the baseline holds both."""
    if job.format != "onnx":
        apply_to_tensorflow(device)
    for name in _LIBRARIES[job.format]:
        importlib.import_module(name)
    if job.format != "onnx":
        importlib.import_module("tensorflow").config.list_logical_devices()
    if job.format == "keras" and job.recipe_root is not None:
        _register_own_classes(Path(job.model), Path(job.recipe_root))


def _register_own_classes(model: Path, recipe_root: Path) -> None:
    """Keras finds classes of the recipe's own once the file that registers them is imported."""
    if has_own_classes(model) and (recipe_root / _USER_FILE).is_file():
        load_user_module(recipe_root, _USER_FILE)


def _possible_sizes(runtime: Runtime, asked: Sequence[int]) -> list[int]:
    """The batch sizes that the model takes: its own only, when that is fixed."""
    fixed = runtime.inputs[0].shape[0] if runtime.inputs and runtime.inputs[0].shape else None
    return list(asked) if fixed is None else [fixed]


def _any_of(examples: dict[int, list[Batch]]) -> list[Batch]:
    return examples[max(examples)]


def _rehearse(runtime: Runtime, examples: dict[int, list[Batch]], gpu: GpuMemory | None) -> None:
    """Has the runtime take all the memory it wants: arenas settle within a few runs."""
    for batches in examples.values():
        for batch in (batches[0], batches[-1], batches[0]):
            runtime.predict(batch)
        if gpu is not None:
            gpu.look()


def _timed(job: Job, runtime: Runtime, size: int, examples: list[Batch]) -> dict[str, Any]:
    timing = timed(
        [partial(runtime.predict, batch) for batch in examples],
        min_time_s=job.min_time_s,
        min_count=job.min_count,
        warmup_time_s=job.warmup_time_s,
        warmup_limit_s=job.warmup_limit_s,
    )
    np.save(samples_file(Path(job.folder), size), timing.samples_ns)
    return {
        "batch_size": size,
        "count": len(timing.samples_ns),
        "warmup_count": timing.warmup_count,
        "steady": timing.steady,
        "busy_others": timing.busy_others,
    }


def _predicted(job: Job, runtime: Runtime, largest: int) -> dict[str, np.ndarray[Any, Any]]:
    """Output name to the outputs of all stored examples, in batches no larger than the timed."""
    if job.examples is None:
        return {}
    parts = list(_predictions(runtime, Path(job.examples), largest))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _predictions(runtime: Runtime, folder: Path, largest: int) -> Iterator[Batch]:
    fixed = runtime.inputs[0].shape[0]
    for stored in stored_batches(folder):
        for piece in split_to(stored, largest):
            count = size_of(piece)
            outputs = runtime.predict(piece if fixed is None else of_size(piece, fixed))
            yield {name: value[:count] for name, value in outputs.items()}


def _stored(folder: Path, number: int, name: str, value: np.ndarray[Any, Any]) -> dict[str, Any]:
    file = outputs_file(folder, number)
    np.save(file, as_stored(value))
    number_like = np.issubdtype(value.dtype, np.inexact)
    bad = np.isnan(value).reshape(len(value), -1).any(axis=1) if number_like else np.zeros(0)
    return {"name": name, "file": file.name, "nan_examples": int(bad.sum())}


def _notes(job: Job, runtime: Runtime, gpu: dict[str, Any]) -> list[str]:
    notes = []
    fixed = runtime.inputs[0].shape[0] if runtime.inputs and runtime.inputs[0].shape else None
    if fixed is not None and tuple(job.batch_sizes) != (fixed,):
        notes.append(f"takes batches of exactly {fixed}, so no others were timed")
    if job.examples is None:
        notes.append("was timed with made-up inputs")
    if gpu.get("method") == "nvml_device_delta":
        notes.append("GPU memory is what the whole device grew by (NVML does not tell processes)")
    if job.parsed_device().indices and not gpu:
        notes.append("GPU memory was not measured: NVML gave no reading")
    return notes


def _surroundings(job: Job, runtime: Runtime) -> dict[str, Any]:
    names = ("numpy", "onnxruntime", "tensorflow", "keras", "tf_keras")
    modules = {name: sys.modules[name] for name in names if name in sys.modules}
    session = getattr(runtime, "session", None)
    return {
        "versions": {name: getattr(m, "__version__", None) for name, m in modules.items()},
        "python": platform.python_version(),
        "providers": session.get_providers() if session is not None else [],
        "in_force": onnxruntime_in_force(session)
        if session is not None
        else tensorflow_in_force(job.parsed_device()).text,
        "threads": _threads(),
        "intra_op_threads": job.device_options.get("intra_op_threads"),
        "inter_op_threads": job.device_options.get("inter_op_threads"),
    }


def _threads() -> int | None:
    """How many threads this process has by now."""
    try:
        return len(list(Path("/proc/self/task").iterdir()))
    except OSError:
        return None


def _told(error: TfconvError) -> dict[str, Any]:
    return {
        "kind": type(error).__name__,
        "what": error.what,
        "received": error.received,
        "expected": error.expected,
        "fix": error.fix,
    }


def _die_with_parent() -> None:
    """Has the kernel end this process when the one that waits for it is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # all is written, and to take TensorFlow apart would take a second
