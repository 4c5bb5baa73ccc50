"""In a process of its own: a few training steps of one batch size, and what they took."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.engine.guarded_child import Voice
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.steps.train.config import TrainConfig
from mlflow_tfconv.steps.train.fit import fit

#: The first traces the graph, and the optimizer makes its variables in it.
_STEPS = 4
_LIMIT_S = 600.0
#: What validation, full buffers and split free memory add to what a few steps took: measured, a
#: quarter.
_MORE_LATER = 0.25


class _EnoughError(Exception):
    """Raised when enough steps are done: nothing has failed."""


class _FewSteps(keras.callbacks.Callback):  # type: ignore[misc]  # keras carries no types
    """Takes the time of the steps, and ends training after a few."""

    def __init__(self) -> None:
        super().__init__()
        self.ended_s: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Counts the steps."""
        del batch, logs  # Keras passes them
        self.ended_s.append(time.perf_counter())
        if len(self.ended_s) >= _STEPS:
            raise _EnoughError

    def on_test_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """An epoch of fewer steps is over: validation would take long and less memory."""
        del logs  # Keras passes it
        raise _EnoughError

    def samples_per_s(self, batch_size: int) -> float | None:
        """Without the first step; None where there was no other."""
        if len(self.ended_s) < 2:
            return None
        return batch_size * (len(self.ended_s) - 1) / (self.ended_s[-1] - self.ended_s[0])


def measured(job: tuple[Dataset, StepContext, TrainConfig], voice: Voice) -> dict[str, Any]:
    """The fields of `Measured` that were measured, and `host_expected_mb` of a whole training.

    Args:
        job: The examples, the surroundings, and a config with the batch size.
        voice: Hears how long it may take.

    Raises:
        OutOfMemoryError: The batch does not fit.
        TfconvError: As of any training.
    """
    source, context, config = job
    voice.phase("training a few steps", _LIMIT_S)
    steps, before_mb = _FewSteps(), host_mb()
    short = dataclasses.replace(config, epochs=1, early_stopping=None)
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(_EnoughError):
        fit(source, Path(folder), context, short, more=[steps])
    assert isinstance(config.batch_size, int)  # noqa: S101 (the caller has put it there)
    peak_mb = host_peak_mb()
    return {
        "host_peak_mb": peak_mb,
        "host_expected_mb": peak_mb + _MORE_LATER * max(peak_mb - before_mb, 0.0),
        "gpu_peak_mb": gpu_peak_mb(context),
        "samples_per_s": steps.samples_per_s(config.batch_size),
    }


def host_peak_mb() -> float:
    """The largest resident memory of this process so far, in MB (10^6 bytes)."""
    return _status_mb("VmHWM")


def host_mb() -> float:
    """The resident memory of this process now, in MB (10^6 bytes)."""
    return _status_mb("VmRSS")


def _status_mb(name: str) -> float:
    text = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    found = re.search(rf"^{name}:\s+(\d+) kB$", text, re.MULTILINE)
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def gpu_peak_mb(context: StepContext) -> float | None:
    """The most that TensorFlow had allocated on its first GPU; None on the CPU."""
    if context.device.kind == "cpu":
        return None
    try:
        return float(tf.config.experimental.get_memory_info("GPU:0")["peak"]) / 1e6
    except (ValueError, RuntimeError):  # an allocator that does not count
        return None
