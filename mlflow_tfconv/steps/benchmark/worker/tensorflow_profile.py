"""Profiles a Keras model or a SavedModel with TensorFlow's own profiler."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from mlflow_tfconv.steps.benchmark.worker.operator_calls import Recording
from mlflow_tfconv.steps.benchmark.worker.placement import Assignment
from mlflow_tfconv.steps.benchmark.worker.profile_files import Profile, written_profile
from mlflow_tfconv.steps.benchmark.worker.profile_plan import profile_plan, times_ms
from mlflow_tfconv.steps.benchmark.worker.tensorflow_devices import tensorflow_assignment
from mlflow_tfconv.steps.benchmark.worker.tensorflow_recording import RUN, tensorflow_recording

if TYPE_CHECKING:
    from mlflow_tfconv.steps.benchmark.worker.opened_model import OpenedModel

# Cheap ones are told from this level of the host's tracer on. TensorFlow 2.21 ignores it ("expects an i
# value" in the log): once it knows an operation as cheap its time counts as the framework's.
_ALL_OPERATIONS = 3
_FOLDER = "tensorflow_profile"


def tensorflow_profile(
    opened: OpenedModel, batch_size: int, *, seconds: float, most_runs: int
) -> dict[str, Any]:
    """Runs the model with the profiler, and without it before and after.

    Args:
        opened: The model.
        batch_size: Examples in a run.
        seconds: For all profiled runs.
        most_runs: Limit of their number.
    """
    calls = [opened.runtime.call_for(batch) for batch in opened.examples(batch_size)]
    first = min(times_ms(calls, 3))
    plan = profile_plan(first, seconds=seconds, most_runs=most_runs)
    plain = times_ms(calls, plan.before)
    folder = opened.folder / _FOLDER
    try:
        recording = _recorded(calls, plan.runs, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    plain += times_ms(calls, plan.runs - plan.before)
    profile = Profile(
        name=Path(opened.job.model).name,
        runtime=f"tensorflow {tf.__version__}",
        batch_size=batch_size,
        recording=recording,
        plain_ms=plain,
        notes=_notes(opened, recording),
        assignment=_assignment(opened, batch_size),
    )
    return written_profile(profile, opened.folder)


def _recorded(calls: Sequence[Callable[[], object]], runs: int, folder: Path) -> Recording:
    options = tf.profiler.experimental.ProfilerOptions(
        host_tracer_level=_ALL_OPERATIONS, python_tracer_level=0, device_tracer_level=1
    )
    tf.profiler.experimental.start(str(folder), options)
    try:
        for number, call in enumerate(itertools.islice(itertools.cycle(calls), runs)):
            with tf.profiler.experimental.Trace(RUN, step_num=number, _r=1):
                call()
    finally:
        tf.profiler.experimental.stop()
    return tensorflow_recording(folder)


def _assignment(opened: OpenedModel, batch_size: int) -> Assignment:
    """On the CPU there is no other device; on a GPU the host launches what the GPU computes."""
    if opened.device.kind == "cpu":
        return Assignment(device=opened.device)
    batch = opened.examples(batch_size)[0]
    return tensorflow_assignment(opened.runtime, batch, opened.device)


def _notes(opened: OpenedModel, recording: Recording) -> tuple[str, ...]:
    measured = any("GPU" in name for name in recording.thread_names.values())
    if opened.device.kind == "cpu" or measured:
        return ()
    return ("times of operators on the GPU are those of launching them: CUPTI gave none",)
