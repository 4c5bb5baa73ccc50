"""Memory as it is reported: metrics, notes, and the largest batch for a budget."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlflow_tfconv.steps.benchmark.driver.memory_findings import (
    arena_metrics,
    estimate_findings,
    memory_findings,
    memory_method,
)

_MB = 1_000_000


def phase(name: str, host: int | None, gpu: int | None = None) -> dict[str, Any]:
    """What a worker tells of a phase, in MB."""
    return {
        "name": name,
        "host_peak_bytes": None if host is None else host * _MB,
        "host_resident_bytes": None if host is None else host * _MB,
        "gpu_peak_bytes": None if gpu is None else gpu * _MB,
    }


def told(**changes: Any) -> dict[str, Any]:
    """A model of 100 MB that takes 10 MB for an example, on the CPU, beside 50 MB of libraries."""
    return {
        "device": "cpu",
        "batch_sizes": [1, 11],
        "host": {
            "method": "VmHWM",
            "baseline_bytes": 50 * _MB,
            "resident_bytes": 150 * _MB,
            "peak_bytes": 260 * _MB,
            "file_mapped_bytes": 5 * _MB,
        },
        "gpu": {},
        "phases": [phase("load", 150), phase("b1", 160), phase("b11", 260)],
        "curve": {},
        "input_bytes": 0,
        "gpu_limit_bytes": None,
        "budget_mb": None,
    } | changes


def gpu_told(gpu: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The same on a GPU."""
    phases = [phase("load", 150, 600), phase("b1", 160, 700), phase("b11", 260, 2099)]
    return told(device="cuda:0", gpu=gpu, phases=phases) | changes


def test_the_host_has_its_peak_with_and_without_the_empty_process() -> None:
    found = memory_findings(told(), Path("w"))
    assert found.metrics == {
        "footprint/host_peak_mb": 260,
        "footprint/host_peak_above_baseline_mb": 210,
        "footprint/host_resident_mb": 150,
        "footprint/activations_mb": 110,
    }
    assert found.details["method"] == {"host": "VmHWM"}
    assert memory_method({"stages": {"memory": found.details}}) == "host: VmHWM"
    assert memory_method({}) == ""


def test_the_curve_is_a_file_and_goes_to_the_page(tmp_path: Path) -> None:
    file = tmp_path / "memory_curve.npy"
    np.save(file, np.array([[0.0, 60.0, 30.0, np.nan], [0.1, 260.0, 230.0, np.nan]]))
    phases = [{**one, "seconds": [0.0, 0.1]} for one in told()["phases"]]
    found = memory_findings(told(curve={"file": file.name}, phases=phases), tmp_path)
    assert found.files == (file,)
    assert json.dumps(found.details["curve"])


def test_what_was_not_measured_is_absent_and_never_0() -> None:
    empty = told(host={}, phases=[phase("load", None), phase("b1", None)], curve={})
    found = memory_findings(empty, Path("w"))
    assert found.metrics == {}
    assert found.files == ()


def test_made_up_inputs_are_no_activations() -> None:
    found = memory_findings(told(input_bytes=30 * _MB), Path("w"))
    assert found.metrics["footprint/activations_mb"] == 80


def test_the_largest_batch_lies_on_the_line_through_what_was_measured() -> None:
    found = memory_findings(told(budget_mb=1000.0), Path("w"))
    assert found.metrics["footprint/largest_batch"] == 85
    assert found.details["largest_batch"]["method"] == "measured"
    assert found.details["largest_batch"]["from"] == [1, 11]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"budget_mb": 100.0}, "needs 160 MB at its smallest batch"),
        ({"budget_mb": 900.0, "batch_sizes": [1]}, "takes no more memory at larger batches"),
    ],
)
def test_no_largest_batch_is_told_where_there_is_none(changes: dict[str, Any], why: str) -> None:
    found = memory_findings(told(**changes), Path("w"))
    assert "footprint/largest_batch" not in found.metrics
    assert why in found.notes[0]


def test_what_was_allowed_and_what_was_used_are_told_together() -> None:
    gpu = {"peak_bytes": 2099 * _MB, "method": "nvml_process"}
    found = memory_findings(gpu_told(gpu, gpu_limit_bytes=1024 * _MB), Path("w"))
    assert found.metrics["footprint/gpu_peak_mb"] == 2099
    assert found.metrics["footprint/activations_mb"] == 1499
    assert "was allowed 1,024 MB of GPU memory and used 2,099 MB" in found.notes[0]
    assert found.details["allowed"] == {"allowed_mb": 1024, "used_mb": 2099}


@pytest.mark.parametrize(
    ("gpu", "peak", "method", "note"),
    [
        ({"peak_bytes": 9 * _MB, "method": "nvml_device_delta"}, 9, "nvml_device_delta", "growth"),
        ({"in_use_peak_bytes": 4 * _MB}, 4, "tensorflow_allocator", "TensorFlow's allocator"),
        (
            {"method": "nvml_device_delta_not_sole_user", "others": ["process 7 left"]},
            None,
            "nvml_device_delta_not_sole_user",
            "process 7 left",
        ),
        ({}, None, None, "NVML gave no reading"),
    ],
)
def test_gpu_memory_says_how_it_was_measured(
    gpu: dict[str, Any], peak: float | None, method: str | None, note: str
) -> None:
    found = memory_findings(gpu_told(gpu), Path("w"))
    assert found.metrics.get("footprint/gpu_peak_mb") == peak
    assert found.details["method"].get("gpu") == method
    assert any(note in one for one in found.notes)


def test_mapped_files_swapped_memory_and_processes_of_its_own_are_told() -> None:
    host = told()["host"] | {
        "file_mapped_bytes": 90 * _MB,
        "swapped_bytes": _MB,
        "children_peak_bytes": 20 * _MB,
        "method": "VmHWM and sampled",
    }
    notes = " / ".join(memory_findings(told(host=host), Path("w")).notes)
    for word in ("90 MB of its memory as pages of files", "swapped out", "20 MB", "sampled"):
        assert word in notes


def test_an_estimate_that_is_too_low_says_so() -> None:
    estimate = {
        "peak_mb": {"1": 80.0, "32": 300.0},
        "largest_size": 32,
        "weights_bytes": {"float32": 14 * _MB},
        "complete": False,
    }
    found = estimate_findings(estimate, Path("w"))
    assert found.metrics == {"footprint/estimated_peak_mb": 300, "footprint/weights_mb": 14}
    assert "too low" in found.notes[0]


def test_the_arena_of_a_gpu_is_told_and_that_of_the_cpu_is_in_the_details_only() -> None:
    cpu = {"CPUExecutionProvider": {"reserved": 9 * _MB, "in_use_peak": 5 * _MB}}
    gpu = {"CUDAExecutionProvider": {"reserved": 8 * _MB, "in_use_peak": 6 * _MB}}
    assert arena_metrics({"arenas": cpu}) == {}
    assert arena_metrics(None) == {}
    assert arena_metrics({"arenas": {**cpu, **gpu}}) == {
        "footprint/gpu_reserved_mb": 8,
        "footprint/gpu_in_use_mb": 6,
    }
