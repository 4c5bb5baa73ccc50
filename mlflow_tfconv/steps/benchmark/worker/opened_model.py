"""The model that a worker holds open from one command to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow_tfconv.device import Device
from mlflow_tfconv.errors import BenchmarkError
from mlflow_tfconv.runtimes.runtime import Runtime
from mlflow_tfconv.steps.benchmark.examples import Batch, of_size, random_batch
from mlflow_tfconv.steps.benchmark.worker.job import Job
from mlflow_tfconv.steps.benchmark.worker.memory_watch import MemoryWatch

if TYPE_CHECKING:  # only where there is a GPU
    from mlflow_tfconv.steps.benchmark.worker.gpu_memory import GpuMemory


@dataclass(slots=True, kw_only=True)
class OpenedModel:
    """A job and, once the command `open` has been given, its model.

    Attributes:
        job: What the worker was told.
        device: Where it computes.
        folder: Where it writes.
        batch_sizes: Those that can be timed: the job's, or the only one that the model takes.
        session_options: Options that the model was loaded with, such as threads that were tied.
        stored: Batch size to real examples; empty without any.
        gpu: Tells this process's memory on the GPU; None without one.
        memory: Reads this process's memory.
        readings: What it read while the model was opened.
    """

    job: Job
    device: Device
    folder: Path
    batch_sizes: list[int] = field(default_factory=list)
    session_options: Mapping[str, Any] = field(default_factory=dict)
    stored: dict[int, list[Batch]] = field(default_factory=dict)
    gpu: GpuMemory | None = None
    memory: MemoryWatch = field(default_factory=MemoryWatch)
    readings: dict[str, Any] = field(default_factory=dict)
    _runtime: Runtime | None = None

    @classmethod
    def of(cls, job: Job) -> OpenedModel:
        """Nothing is opened yet."""
        return cls(job=job, device=job.parsed_device(), folder=Path(job.folder))

    @property
    def runtime(self) -> Runtime:
        """The loaded model.

        Raises:
            BenchmarkError: It was not opened.
        """
        if self._runtime is None:
            raise BenchmarkError(
                "The model is not open.",
                received="another command before `open`, or after one that failed",
                fix='Say {"command": "open"} first.',
            )
        return self._runtime

    @runtime.setter
    def runtime(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def examples(self, batch_size: int) -> list[Batch]:
        """Up to eight different batches of this size; made-up ones without examples."""
        if not self.stored:
            return [random_batch(self.runtime.inputs, batch_size)]
        if batch_size not in self.stored:
            largest = self.stored[max(self.stored)]
            return [of_size(batch, batch_size) for batch in largest]
        return self.stored[batch_size]

    def fixed_batch(self) -> int | None:
        """The only batch size that the model takes; None when it takes all."""
        inputs = self.runtime.inputs
        return inputs[0].shape[0] if inputs and inputs[0].shape else None
