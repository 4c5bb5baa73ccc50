"""What every variant is measured under: the config, the device, the examples."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mlflow_tfconv.artifacts import Variant
from mlflow_tfconv.device import Device
from mlflow_tfconv.engine.parts import Parts
from mlflow_tfconv.steps.benchmark.config import BenchmarkConfig
from mlflow_tfconv.steps.benchmark.driver.progress import Told
from mlflow_tfconv.steps.benchmark.driver.sequence import STAGES
from mlflow_tfconv.steps.benchmark.driver.stage import Stage, When
from mlflow_tfconv.steps.benchmark.driver.surroundings import library_versions, machine
from mlflow_tfconv.steps.benchmark.driver.worker_process import WORKER, Worker
from mlflow_tfconv.steps.benchmark.model_files import files_digest
from mlflow_tfconv.steps.benchmark.stored_examples import StoredExamples
from mlflow_tfconv.steps.benchmark.worker.job import Job

_TIMING_FIELDS = (
    *("min_time_s", "min_count", "max_time_s", "blocks", "warmup_time_s", "warmup_limit_s"),
    *("retries", "minutes", "scenarios"),
)
_LIBRARIES = {
    "onnx": ("numpy", "onnxruntime", "onnxruntime-gpu"),
    "saved_model": ("numpy", "tensorflow"),
    "keras": ("numpy", "tensorflow", "keras", "tf_keras"),
    "keras_h5": ("numpy", "tensorflow", "keras", "tf_keras"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What every variant is measured under.

    Attributes:
        config: How to measure.
        device: Where.
        parts: Where measurements are kept by fingerprint.
        examples: What every variant is measured with; None lets the worker make up inputs.
        workdir: For the folders of workers, and `logs` for what those that failed have printed.
        recipe_root: Folder whose steps/train.py may define classes of Keras models, or None.
        command: What starts a worker.
        stages: What is measured besides.
        progress: Who is told how far it is.
    """

    config: BenchmarkConfig
    device: Device
    parts: Parts
    examples: StoredExamples | None
    workdir: Path
    recipe_root: Path | None = None
    command: tuple[str, ...] = WORKER
    stages: tuple[Stage, ...] = STAGES
    progress: Told = field(default_factory=Told)

    def worker(
        self, variant: Variant, folder: Path, environment: Mapping[str, str] = MappingProxyType({})
    ) -> Worker:
        """A worker for a variant, not started yet; it writes into the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        job = self._job(str(variant.path), variant.format, variant.session_options, folder)
        return Worker(
            job=job,
            time_limit_s=self.config.time_limit_s,
            command=self.command,
            environment=environment,
        )

    def prove_device(self, formats: set[str]) -> None:
        """Has a worker of each family open the GPU, before anything is measured.

        Raises:
            DeviceError: It is not there, or can't be used.
        """
        families = {"onnx" if name == "onnx" else "saved_model" for name in formats}
        for family in sorted(families) if self.device.kind != "cpu" else ():
            work = self.workdir / "logs" / f"device-{family}"
            work.mkdir(parents=True, exist_ok=True)
            job = self._job("", family, {}, work)
            limit = self.config.time_limit_s
            with Worker(job=job, time_limit_s=limit, command=self.command) as worker:
                worker.ask("prove")

    def stages_of(self, variant: Variant, when: When) -> Iterator[Stage]:
        """The stages that a variant goes through then."""
        for stage in self.stages:
            if stage.when == when and stage.applies(self.config, variant, self.device):
                yield stage

    def opened_ingredients(self, variant: Variant) -> dict[str, Any]:
        """What decides all that is measured of a variant but its timing."""
        stages = (*self.stages_of(variant, "opened"), *self.stages_of(variant, "alone"))
        return {
            "part": "benchmark variant/3",
            "model": variant.fingerprint or files_digest(variant.path),
            "format": variant.format,
            "session_options": dict(variant.session_options),
            "batch_sizes": self.config.batch_sizes,
            "pin_threads": self.config.pin_threads,
            "memory": dataclasses.asdict(self.config.memory),
            "examples": None if self.examples is None else self.examples.digest,
            "device": str(self.device),
            "device_options": dataclasses.asdict(self.device.options),
            "versions": library_versions(*_LIBRARIES[variant.format]),
            "machine": machine(),
            "stages": {stage.name: stage.depends(self.config) for stage in stages},
        }

    def timing_ingredients(self, variant: Variant, opened: Mapping[str, Any]) -> dict[str, Any]:
        """What decides how a variant is timed: its `opened_ingredients`, and more."""
        stages = self.stages_of(variant, "timed")
        return {
            **opened,
            "part": "benchmark timing/3",
            "timing": {name: getattr(self.config, name) for name in _TIMING_FIELDS},
            "stages": {stage.name: stage.depends(self.config) for stage in stages},
        }

    def keep_log(self, variant: Variant, log: Path) -> None:
        """Copies what a worker has printed to where a user looks for it."""
        if log.is_file():
            logs = self.workdir / "logs"
            logs.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(log, logs / f"{variant.run_name.replace('/', '_')}.log")

    def _job(self, model: str, kind: str, session: Mapping[str, Any], folder: Path) -> Job:
        return Job(
            model=model,
            format=kind,
            folder=str(folder.absolute()),
            examples=None if self.examples is None else str(self.examples.folder.absolute()),
            device=str(self.device),
            device_options=dataclasses.asdict(self.device.options),
            session_options=dict(session),
            recipe_root=None if self.recipe_root is None else str(self.recipe_root.absolute()),
            batch_sizes=self.config.batch_sizes,
            pin_threads=self.config.pin_threads,
        )
