"""Memory as it is reported: metrics, what a reader should know, the largest batch for a budget."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlflow_tfconv.steps.benchmark.driver.memory_curve import drawn_curve
from mlflow_tfconv.steps.benchmark.driver.stage import Findings

_MB = 1e6
_SAME_BYTES = 1 << 20  # the kernel counts resident pages in lumps: less is no difference
_MUCH = 0.1
_ON_GPU, _ON_HOST = ("gpu_peak_bytes", "host_peak_bytes")


def memory_findings(told: Mapping[str, Any], folder: Path) -> Findings:
    """What the command `memory` told.

    Args:
        told: Its answer.
        folder: Where the worker wrote.
    """
    host, gpu = told.get("host") or {}, told.get("gpu") or {}
    on_gpu = told["device"] != "cpu"
    largest = _largest_batch(told, on_gpu=on_gpu)
    metrics = {
        **_host_metrics(host),
        "footprint/activations_mb": _activations(told, on_gpu=on_gpu),
        "footprint/gpu_peak_mb": _mb(_gpu_peak(gpu)),
        "footprint/gpu_in_use_mb": _mb(gpu.get("in_use_peak_bytes")),
        "footprint/largest_batch": largest.get("batch_size"),
    }
    curve = told.get("curve") or {}
    return Findings(
        metrics={name: value for name, value in metrics.items() if value is not None},
        notes=(*_host_notes(host), *_gpu_notes(told, gpu), *_budget_notes(largest)),
        details={
            **told,
            "method": _methods(host, gpu),
            "allowed": _allowed(told, gpu),
            "largest_batch": largest,
            "curve": _drawn(curve, told, folder),
        },
        files=(folder / curve["file"],) if curve else (),
    )


def estimate_findings(told: Mapping[str, Any], _: Path) -> Findings:
    """What the command `estimate` told."""
    weights = sum(told["weights_bytes"].values()) / _MB
    metrics = {"footprint/estimated_peak_mb": told["peak_mb"][str(told["largest_size"])]}
    if weights:
        metrics["footprint/weights_mb"] = weights
    low = () if told["complete"] else ("has shapes that can't be told: its estimate is too low",)
    return Findings(metrics=metrics, notes=low, details=told)


def arena_metrics(told: Mapping[str, Any] | None) -> dict[str, float]:
    """Of a GPU's arena what it holds and what of it was in use; nothing of the CPU's."""
    arenas = {} if told is None else told["arenas"]
    gpu = [arena for provider, arena in arenas.items() if not provider.startswith("CPU")]
    if not gpu:
        return {}
    return {
        "footprint/gpu_reserved_mb": max(arena["reserved"] for arena in gpu) / _MB,
        "footprint/gpu_in_use_mb": max(arena["in_use_peak"] for arena in gpu) / _MB,
    }


def memory_method(details: Mapping[str, Any]) -> str:
    """How a variant's memory was measured, such as "host: VmHWM, gpu: nvml_process"; or empty.

    Args:
        details: Those of its measurement.
    """
    methods = details.get("stages", {}).get("memory", {}).get("method", {})
    return ", ".join(f"{what}: {how}" for what, how in methods.items())


def _drawn(curve: Mapping[str, Any], told: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
    """The curve with the points that a page draws."""
    if not curve:
        return {}
    return {**curve, **drawn_curve(folder / curve["file"], told.get("phases", ()))}


def _allowed(told: Mapping[str, Any], gpu: Mapping[str, Any]) -> dict[str, float]:
    """What was allowed beside what was used, in MB; empty where there was no limit."""
    limit, used = told.get("gpu_limit_bytes"), _gpu_peak(gpu)
    if limit is None:
        return {}
    found = {"allowed_mb": limit / _MB}
    return found if used is None else {**found, "used_mb": used / _MB}


def _methods(host: Mapping[str, Any], gpu: Mapping[str, Any]) -> dict[str, str]:
    """How each number came about."""
    found = {"host": host.get("method"), "gpu": _gpu_method(gpu)}
    return {name: method for name, method in found.items() if method is not None}


def _host_metrics(host: Mapping[str, Any]) -> dict[str, float | None]:
    peak, baseline = host.get("peak_bytes"), host.get("baseline_bytes")
    above = None if peak is None or baseline is None else peak - baseline
    return {
        "footprint/host_peak_mb": _mb(peak),
        "footprint/host_peak_above_baseline_mb": _mb(above),
        "footprint/host_resident_mb": _mb(host.get("resident_bytes")),
    }


def _activations(told: Mapping[str, Any], *, on_gpu: bool) -> float | None:
    """The peak while it runs less what the loaded model holds; None when it can't be told apart."""
    field = _ON_GPU if on_gpu else _ON_HOST
    phases = {phase["name"]: phase for phase in told.get("phases", ())}
    peaks = [p[field] for n, p in phases.items() if n != "load" and p[field] is not None]
    loaded = phases.get("load", {}).get(_ON_GPU if on_gpu else "host_resident_bytes")
    if not peaks or loaded is None:
        return None
    grown = max(peaks) - loaded - (0 if on_gpu else told.get("input_bytes") or 0)
    return _mb(grown) if grown > 0 else None


def _gpu_peak(gpu: Mapping[str, Any]) -> int | None:
    """NVML's number; else that of the runtime's allocator, which lacks CUDA's context."""
    return gpu.get("peak_bytes") or gpu.get("in_use_peak_bytes")


def _gpu_method(gpu: Mapping[str, Any]) -> str | None:
    if not gpu.get("peak_bytes") and gpu.get("in_use_peak_bytes"):
        return "tensorflow_allocator"
    return gpu.get("method")


def _host_notes(host: Mapping[str, Any]) -> list[str]:
    notes = []
    mapped, peak = host.get("file_mapped_bytes") or 0, host.get("peak_bytes") or 0
    if mapped > max(_MUCH * peak, 32 * _MB):
        notes.append(
            f"holds {mapped / _MB:,.0f} MB of its memory as pages of files (libraries, mapped "
            "weights), which the kernel can drop and share"
        )
    if host.get("swapped_bytes"):
        notes.append(
            f"had {host['swapped_bytes'] / _MB:,.0f} MB swapped out: its peak is higher than told"
        )
    if host.get("children_peak_bytes"):
        notes.append(
            f"has started processes of its own, whose {host['children_peak_bytes'] / _MB:,.0f} MB "
            "are not in its peak"
        )
    if host.get("method") not in (None, "VmHWM"):
        notes.append("has peaks that were sampled: the kernel's could not be set back here")
    return notes


def _gpu_notes(told: Mapping[str, Any], gpu: Mapping[str, Any]) -> list[str]:
    if told["device"] == "cpu":
        return []
    method, used = _gpu_method(gpu), _gpu_peak(gpu)
    notes = []
    if used is None:
        others = ", ".join(gpu.get("others", ()))
        why = f"others used the device too ({others})" if others else "NVML gave no reading"
        notes.append(f"has no measured GPU memory: {why}")
    elif method == "nvml_device_delta":
        notes.append("has the growth of the whole device as GPU memory: NVML told no processes")
    elif method == "tensorflow_allocator":
        notes.append("has what TensorFlow's allocator used as GPU memory, without CUDA's context")
    limit = told.get("gpu_limit_bytes")
    if limit is not None and used is not None and used > limit:
        notes.append(
            f"was allowed {limit / _MB:,.0f} MB of GPU memory and used {used / _MB:,.0f} MB: the "
            "limit holds for the runtime's arena, not for CUDA's context and the libraries' "
            "workspaces"
        )
    return notes


def _largest_batch(told: Mapping[str, Any], *, on_gpu: bool) -> dict[str, Any]:
    """The largest batch for the budget, on the line through the largest two batch sizes."""
    budget = told.get("budget_mb")
    field = _ON_GPU if on_gpu else _ON_HOST
    phases = {phase["name"]: phase.get(field) for phase in told.get("phases", ())}
    peaks = {n: peak for n in told["batch_sizes"] if (peak := phases.get(f"b{n}")) is not None}
    if budget is None or not peaks:
        return {}
    found: dict[str, Any] = {"budget_mb": budget, "method": "measured", "from": sorted(peaks)}
    if min(peaks.values()) > budget * _MB:
        return {**found, "why": f"needs {min(peaks.values()) / _MB:,.0f} MB at its smallest batch"}
    slope = _slope(peaks)
    if slope is None:
        fits = max(peaks.values()) <= budget * _MB
        return {
            **found,
            "fits": fits,
            "why": "takes no more memory at larger batches, so far as can be told",
        }
    largest = max(peaks)
    room = (budget * _MB - peaks[largest]) / slope
    return {**found, "bytes_per_example": slope, "batch_size": int(largest + room // 1)}


def _slope(peaks: Mapping[int, int]) -> float | None:
    """Bytes an example, between the smallest and the largest size; None if it can't be told."""
    sizes = sorted(peaks)
    if len(sizes) < 2 or peaks[sizes[-1]] - peaks[sizes[0]] < _SAME_BYTES:
        return None
    return (peaks[sizes[-1]] - peaks[sizes[0]]) / (sizes[-1] - sizes[0])


def _budget_notes(largest: Mapping[str, Any]) -> list[str]:
    why = largest.get("why")
    return [] if why is None else [f"{why} (budget {largest['budget_mb']:,.0f} MB)"]


def _mb(size: float | None) -> float | None:
    return None if size is None else size / _MB
