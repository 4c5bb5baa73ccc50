"""Opens a model, step by step: what each step takes of time and of memory is written down.

The order matters. The examples to be timed are read first and the libraries imported, and what the
process has taken by then is the baseline. Then the model is loaded and run a few times at each batch
size, and the peak is read. Only after that it is timed, since raw timings of a fast model take
memory of their own.
"""

from __future__ import annotations

import importlib
import platform
import sys
import time
from pathlib import Path
from typing import Any

from mlflow_tfconv.data.user_code import load_user_module
from mlflow_tfconv.device import (
    Device,
    apply_to_tensorflow,
    onnxruntime_in_force,
    proved_onnxruntime,
    tensorflow_in_force,
)
from mlflow_tfconv.formats.own_classes import has_own_classes
from mlflow_tfconv.runtimes.runtime import open_runtime
from mlflow_tfconv.steps.benchmark.examples import made_up, stored_batches, timing_batches
from mlflow_tfconv.steps.benchmark.worker.allocator_memory import tensorflow_allocator
from mlflow_tfconv.steps.benchmark.worker.gpu_memory import opened_gpu_memory
from mlflow_tfconv.steps.benchmark.worker.job import Job
from mlflow_tfconv.steps.benchmark.worker.memory import memory_readings
from mlflow_tfconv.steps.benchmark.worker.memory_watch import LOAD, MemoryWatch
from mlflow_tfconv.steps.benchmark.worker.opened_model import OpenedModel
from mlflow_tfconv.steps.benchmark.worker.pinning import (
    pin_caller,
    pinned_process,
    thread_placement,
)
from mlflow_tfconv.steps.benchmark.worker.startup import (
    optimization_ns,
    recorded_options,
)
from mlflow_tfconv.steps.benchmark.worker.timing import once_ns

_USER_FILE = "steps/train.py"
_LIBRARIES = {
    "onnx": ("onnxruntime", "mlflow_tfconv.runtimes.onnx_runtime"),
    "saved_model": ("tensorflow", "mlflow_tfconv.runtimes.saved_model_runtime"),
    "keras": ("tensorflow", "keras", "mlflow_tfconv.runtimes.keras_runtime"),
    "keras_h5": ("tensorflow", "keras", "mlflow_tfconv.runtimes.keras_runtime"),
}


def proved(opened: OpenedModel) -> dict[str, Any]:
    """Opens the device without a model.

    Raises:
        DeviceError: It is not there, or can't be used.
    """
    if opened.job.format == "onnx":
        proved_onnxruntime(opened.device)
    else:
        apply_to_tensorflow(opened.device)
    return {"device": str(opened.device)}


def open_model(opened: OpenedModel, *, curve_interval_ms: float = 5.0) -> dict[str, Any]:
    """Opens the job's model and has it take all the memory that it wants.

    Args:
        opened: What is opened.
        curve_interval_ms: Time between two points of the curve of memory.

    Returns:
        `batch_sizes` that can be timed, `startup` (nanoseconds: load, optimization or None, first
        run), `memory` (bytes), `notes`, `surroundings`.
    """
    job, device = opened.job, opened.device
    opened.gpu = opened_gpu_memory(device.indices[0]) if device.indices else None
    pinning = pinned_process(device.options.intra_op_threads) if job.pin_threads else None
    if job.examples is not None:
        folder = Path(job.examples)
        opened.stored = {n: timing_batches(stored_batches(folder), n) for n in job.batch_sizes}
    _start_libraries(job, device)
    opened.session_options = dict(job.session_options)
    if pinning is not None and job.format == "onnx":
        opened.session_options = pinning.session_options(_with_threads(job, device))
    opened.memory = MemoryWatch(
        gpu=opened.gpu, interval_s=curve_interval_ms / 1e3, allocator=tensorflow_allocator(device)
    )
    opened.memory.begin()
    startup = _load_and_run(opened)
    opened.readings = memory_readings(opened)
    if pinning is not None and job.format == "onnx":
        pin_caller(pinning.processors[:1])  # its threads have the others
    return {
        "batch_sizes": opened.batch_sizes,
        "startup": startup,
        "memory": opened.readings,
        "notes": _notes(opened),
        "surroundings": _surroundings(opened),
    }


def _load_and_run(opened: OpenedModel) -> dict[str, Any]:
    job = opened.job
    asked = {**opened.session_options, **recorded_options(job.format, opened.folder)}
    with opened.memory.phase(LOAD):
        started = time.perf_counter_ns()
        opened.runtime = open_runtime(
            Path(job.model), job.format, device=opened.device, session_options=asked or None
        )
        whole_ns = time.perf_counter_ns() - started
    optimized_ns = optimization_ns(opened.runtime)
    fixed = opened.fixed_batch()
    opened.batch_sizes = list(job.batch_sizes) if fixed is None else [fixed]
    first = opened.runtime.call_for(opened.examples(opened.batch_sizes[0])[0])
    return {
        "load_ns": whole_ns - (optimized_ns or 0),
        "optimization_ns": optimized_ns,
        "first_run_ns": once_ns(first),
    }


def _start_libraries(job: Job, device: Device) -> None:
    """Imports what the format needs and starts the device, so that the baseline holds both."""
    if job.format != "onnx":
        apply_to_tensorflow(device)
    made_up = ("numpy.random",) if job.examples is None else ()  # 6 MB that no model takes
    for name in (*_LIBRARIES[job.format], *made_up):
        importlib.import_module(name)
    if job.format != "onnx":
        importlib.import_module("tensorflow").config.list_logical_devices()
    if job.format == "keras" and job.recipe_root is not None:
        _register_own_classes(Path(job.model), Path(job.recipe_root))


def _register_own_classes(model: Path, recipe_root: Path) -> None:
    """Keras finds classes of the recipe's own once the file that registers them is imported."""
    if has_own_classes(model) and (recipe_root / _USER_FILE).is_file():
        load_user_module(recipe_root, _USER_FILE)


def _with_threads(job: Job, device: Device) -> dict[str, Any]:
    threads = device.options.intra_op_threads
    return {**({"intra_op_num_threads": threads} if threads else {}), **job.session_options}


def _notes(opened: OpenedModel) -> list[str]:
    notes: list[str] = []
    fixed = opened.fixed_batch()
    if fixed is not None and tuple(opened.job.batch_sizes) != (fixed,):
        notes.append(f"takes batches of exactly {fixed}, so no others were timed")
    if opened.job.examples is None:
        how = made_up(opened.runtime.inputs)
        notes.append("was timed with made-up inputs" + (f": {how}" if how else ""))
    return notes


def _surroundings(opened: OpenedModel) -> dict[str, Any]:
    names = ("numpy", "onnxruntime", "tensorflow", "keras", "tf_keras")
    modules = {name: sys.modules[name] for name in names if name in sys.modules}
    session = getattr(opened.runtime, "session", None)
    options = opened.job.device_options
    return {
        "versions": {name: getattr(m, "__version__", None) for name, m in modules.items()},
        "python": platform.python_version(),
        "providers": session.get_providers() if session is not None else [],
        "in_force": onnxruntime_in_force(session, opened.device)
        if session is not None
        else tensorflow_in_force(opened.device).text,
        "threads": _threads(),
        "placement": thread_placement(pinned=opened.job.pin_threads),
        "intra_op_threads": options.get("intra_op_threads"),
        "inter_op_threads": options.get("inter_op_threads"),
    }


def _threads() -> int | None:
    """How many threads this process has by now."""
    try:
        return len(list(Path("/proc/self/task").iterdir()))
    except OSError:
        return None
