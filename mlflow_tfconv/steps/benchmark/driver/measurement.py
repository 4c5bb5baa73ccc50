"""What one variant's worker has measured, read back or measured now."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.artifacts import Variant
from mlflow_tfconv.device import Device
from mlflow_tfconv.engine.parts import Parts
from mlflow_tfconv.errors import BenchmarkError
from mlflow_tfconv.steps.benchmark.config import BenchmarkConfig
from mlflow_tfconv.steps.benchmark.driver.worker_process import (
    LOG_FILE,
    WORKER,
    WorkerLimits,
    run_worker,
)
from mlflow_tfconv.steps.benchmark.model_files import files_digest
from mlflow_tfconv.steps.benchmark.statistics.stability import (
    Samples,
    doubt,
    latency_metrics,
    unstable_note,
)
from mlflow_tfconv.steps.benchmark.stored_examples import StoredExamples
from mlflow_tfconv.steps.benchmark.worker.job import RESULT_FILE, Job, samples_file

_TIMING_FIELDS = ("batch_sizes", "min_time_s", "min_count", "warmup_time_s", "warmup_limit_s")
_LIBRARIES = {
    "onnx": ("numpy", "onnxruntime", "onnxruntime-gpu"),
    "saved_model": ("numpy", "tensorflow"),
    "keras": ("numpy", "tensorflow", "keras", "tf_keras"),
    "keras_h5": ("numpy", "tensorflow", "keras", "tf_keras"),
}
_MB = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What was measured of one variant.

    Attributes:
        metrics: Latency, throughput and footprint, under the names of DESIGN.
        notes: What a reader should know.
        outputs: Output name to array over all examples; empty without examples.
        samples: Batch size to raw nanoseconds.
        details: All that the worker wrote down.
        folder: Where it lies.
    """

    metrics: Mapping[str, float]
    notes: tuple[str, ...]
    outputs: Mapping[str, np.ndarray[Any, Any]]
    samples: Mapping[int, Samples]
    details: Mapping[str, Any]
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Measures variants one at a time; a variant that was measured before is read back.

    Attributes:
        config: How to measure.
        device: Where.
        parts: Where measurements are kept by fingerprint.
        examples: What every variant is measured with; None lets the worker make up inputs.
        logs: Folder for the logs of workers that failed.
        recipe_root: Folder whose steps/train.py may define classes of Keras models, or None.
        command: What starts a worker.
    """

    config: BenchmarkConfig
    device: Device
    parts: Parts
    examples: StoredExamples | None
    logs: Path
    recipe_root: Path | None = None
    command: tuple[str, ...] = WORKER

    def measured(self, variant: Variant) -> Measurement:
        """Measures a variant, or reads what was measured of it before.

        Raises:
            BenchmarkError: It can't be measured, or gives NaN.
            DeviceError: The device was not used.
        """
        folder = self.parts.build(self._ingredients(variant), lambda work: self._run(variant, work))
        return read_measurement(folder)

    def prove_device(self, formats: set[str]) -> None:
        """Has a worker of each family open the GPU, before anything is measured.

        Raises:
            DeviceError: It is not there, or can't be used.
        """
        families = {"onnx" if name == "onnx" else "saved_model" for name in formats}
        for family in sorted(families) if self.device.kind != "cpu" else ():
            work = self.logs / f"device-{family}"
            work.mkdir(parents=True, exist_ok=True)
            run_worker(self._job("", family, {}, work), self._limits())

    def _run(self, variant: Variant, work: Path) -> None:
        job = self._job(str(variant.path), variant.format, variant.session_options, work)
        try:
            result = run_worker(job, self._limits())
        except BenchmarkError:
            self._keep_log(variant, work)
            raise
        _refuse_nan(result)

    def _job(self, model: str, kind: str, session: Mapping[str, Any], folder: Path) -> Job:
        timing = {name: getattr(self.config, name) for name in _TIMING_FIELDS}
        return Job(
            model=model,
            format=kind,
            folder=str(folder.absolute()),
            examples=None if self.examples is None else str(self.examples.folder.absolute()),
            device=str(self.device),
            device_options=dataclasses.asdict(self.device.options),
            session_options=dict(session),
            recipe_root=None if self.recipe_root is None else str(self.recipe_root.absolute()),
            **timing,
        )

    def _limits(self) -> WorkerLimits:
        return WorkerLimits(time_limit_s=self.config.time_limit_s, command=self.command)

    def _ingredients(self, variant: Variant) -> dict[str, Any]:
        return {
            "part": "benchmark/2",
            "model": variant.fingerprint or files_digest(variant.path),
            "format": variant.format,
            "session_options": dict(variant.session_options),
            "timing": {name: getattr(self.config, name) for name in _TIMING_FIELDS},
            "examples": None if self.examples is None else self.examples.digest,
            "device": str(self.device),
            "device_options": dataclasses.asdict(self.device.options),
            "versions": library_versions(*_LIBRARIES[variant.format]),
            "machine": machine(),
        }

    def _keep_log(self, variant: Variant, work: Path) -> None:
        if (work / LOG_FILE).is_file():
            self.logs.mkdir(parents=True, exist_ok=True)
            name = variant.run_name.replace("/", "_")
            shutil.copyfile(work / LOG_FILE, self.logs / f"{name}.log")


def read_measurement(folder: Path) -> Measurement:
    """What a worker left in its folder."""
    details = json.loads((folder / RESULT_FILE).read_text(encoding="utf-8"))
    sizes = [batch["batch_size"] for batch in details["batches"]]
    samples = {size: np.load(samples_file(folder, size)) for size in sizes}
    outputs = {o["name"]: np.load(folder / o["file"], mmap_mode="r") for o in details["outputs"]}
    return Measurement(
        metrics={**latency_metrics(samples), **memory_metrics(details["memory"])},
        notes=_notes(samples, details),
        outputs=outputs,
        samples=samples,
        details=details,
        folder=folder,
    )


def memory_metrics(memory: Mapping[str, Any]) -> dict[str, float]:
    """`footprint/...` in MB; what nobody could measure is absent."""
    peak, baseline = memory["host_peak_bytes"], memory["host_baseline_bytes"]
    metrics = {}
    if peak is not None and baseline is not None:
        metrics["footprint/host_peak_mb"] = peak / _MB
        metrics["footprint/host_peak_above_baseline_mb"] = (peak - baseline) / _MB
    if memory["gpu"]:
        metrics["footprint/gpu_peak_mb"] = memory["gpu"]["peak_bytes"] / _MB
    return metrics


def library_versions(*names: str) -> dict[str, str]:
    """Distribution name to version, of those that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """The processor's name, how many this process may use, and the system."""
    return {
        "processor": _processor(),
        "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "system": f"{platform.system()} {platform.machine()}",
    }


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.processor()


def _notes(samples: Mapping[int, Samples], details: Mapping[str, Any]) -> tuple[str, ...]:
    processors = os.cpu_count() or 1
    doubts = {
        batch["batch_size"]: doubt(samples[batch["batch_size"]], batch, processors)
        for batch in details["batches"]
    }
    return (*details["notes"], *unstable_note(doubts))


def _refuse_nan(result: Mapping[str, Any]) -> None:
    for output in result["outputs"]:
        if output["nan_examples"]:
            raise BenchmarkError(
                f"It gives NaN in the output {output['name']!r}.",
                received=f"NaN for {output['nan_examples']} examples",
                expected="numbers",
                fix="Look for a step that lost range, such as float16 or a bad quantization scale.",
            )
