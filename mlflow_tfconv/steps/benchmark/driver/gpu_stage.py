"""The stages of a GPU: its state before and after the timing, and the energy of inferences."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mlflow_tfconv.artifacts import Variant
from mlflow_tfconv.device import Device
from mlflow_tfconv.steps.benchmark.config import BenchmarkConfig
from mlflow_tfconv.steps.benchmark.driver.stage import Answer, Findings, Request, Stage

_ENERGY = "energy/j_per_1000"


def state_findings(answer: Answer, _folder: Path) -> Findings:
    """The state is in the details; that the GPU was shared or can't be asked is a note."""
    if "problem" in answer:
        note = f"ran on a GPU whose state NVML does not tell: {answer['problem']}"
        return Findings(notes=(note,), details=answer)
    others = answer.get("others") or 0
    return Findings(notes=(_shared(others),) if others else (), details=answer)


def energy_findings(answer: Answer, _folder: Path) -> Findings:
    """Joules of 1,000 examples: of the whole GPU, so it must be said when others used it too."""
    metrics = {
        _ENERGY + ("" if row["batch_size"] == 1 else f"_b{row['batch_size']}"): row["j_per_1000"]
        for row in answer["sizes"]
    }
    others = answer.get("others") or 0
    notes = (f"{_shared(others)}, whose energy is counted too",) if others else ()
    return Findings(metrics=metrics, notes=notes, details=answer)


def _shared(others: int) -> str:
    return f"shared the GPU with {others} other process{'es' * (others != 1)}"


def _on_gpu(_config: BenchmarkConfig, _variant: Variant, device: Device) -> bool:
    return device.kind != "cpu"


def _request_state(_config: BenchmarkConfig, _reference: Mapping[str, float]) -> Request:
    return Request(command="gpu_state")


def _request_energy(config: BenchmarkConfig, _reference: Mapping[str, float]) -> Request:
    """The counter goes on ten to fifty times a second: less than half a second tells little."""
    return Request(command="energy", arguments={"seconds": max(config.min_time_s, 0.5)})


GPU_BEFORE = Stage(
    name="gpu_before", when="opened", applies=_on_gpu, ask=_request_state, read=state_findings
)
GPU_AFTER = Stage(
    name="gpu_after", when="timed", applies=_on_gpu, ask=_request_state, read=state_findings
)
ENERGY = Stage(
    name="energy",
    when="timed",
    applies=_on_gpu,
    ask=_request_energy,
    read=energy_findings,
    depends=lambda config: config.min_time_s,
)
