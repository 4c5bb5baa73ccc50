"""Asks a worker where the time of a run goes.

An ONNX file is profiled in a worker of its own: its session would stand beside the one that is timed.
TensorFlow's profiler is switched on and off in the process that has timed, which saves starting
TensorFlow once more; by then all that it could disturb has been measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mlflow_tfconv.artifacts import Variant
from mlflow_tfconv.device import Device
from mlflow_tfconv.steps.benchmark.config import BenchmarkConfig
from mlflow_tfconv.steps.benchmark.driver.memory_findings import arena_metrics
from mlflow_tfconv.steps.benchmark.driver.placement_findings import placement_findings
from mlflow_tfconv.steps.benchmark.driver.stage import Answer, Findings, Request, Stage

NAME = "profile"


def _applies_to_onnx(config: BenchmarkConfig, variant: Variant, _device: Device) -> bool:
    return config.profile and variant.format == "onnx"


def _applies_to_tensorflow(config: BenchmarkConfig, variant: Variant, _device: Device) -> bool:
    return config.profile and variant.format != "onnx"


def _request(_config: BenchmarkConfig, _reference: Mapping[str, float]) -> Request:
    return Request(command="profile")


def findings(answer: Answer, folder: Path) -> Findings:
    """What the worker's profile says.

    Args:
        answer: What `worker.profile_files.written_profile` gave.
        folder: Where the files that it names lie.
    """
    details = {name: value for name, value in answer.items() if name not in ("files", "notes")}
    placed = placement_findings(answer.get("placement") or {})
    files = tuple(folder / name for name in answer["files"].values())
    return Findings(
        metrics={**arena_metrics(answer.get("arena")), **placed.metrics},
        notes=(*answer["notes"], *placed.notes),
        details={**details, "trace": answer["files"]["trace"]},
        files=files,
    )


PROFILE_ONNX = Stage(
    name=NAME,
    when="alone",
    applies=_applies_to_onnx,
    ask=_request,
    read=findings,
    depends=lambda config: config.profile,
    environment={"CUDA_LAUNCH_BLOCKING": "1"},  # else a node's time is that of its launch
)
PROFILE_TENSORFLOW = Stage(
    name=NAME,
    when="timed",
    applies=_applies_to_tensorflow,
    ask=_request,
    read=findings,
    depends=lambda config: config.profile,
)
