"""What ONNX Runtime's execution providers are told of a device."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mlflow_tfconv.device.named_device import Device

_ARENAS = {"same_as_requested": "kSameAsRequested", "next_power_of_two": "kNextPowerOfTwo"}


def provider_options(name: str, device: Device) -> dict[str, str]:
    """What ONNX Runtime's documentation of its CUDA and TensorRT providers names."""
    if name == "CPUExecutionProvider":
        return {}
    chosen = {"device_id": str(device.indices[0])}
    of_this = _tensorrt_options if name == "TensorrtExecutionProvider" else _cuda_options
    return {**chosen, **of_this(device)}


def _cuda_options(device: Device) -> dict[str, str]:
    options = device.options
    strategy = options.arena_strategy or (
        "same_as_requested" if options.memory_growth else "next_power_of_two"
    )
    chosen = {"arena_extend_strategy": _ARENAS[strategy]}
    if options.memory_limit_mb is not None:
        chosen["gpu_mem_limit"] = str(options.memory_limit_mb * 1_000_000)
    if options.tf32 is not None:
        chosen["use_tf32"] = str(int(options.tf32))
    if options.cuda_graphs and device.kind == "cuda":
        chosen["enable_cuda_graph"] = "1"
    return chosen


def _tensorrt_options(device: Device) -> dict[str, str]:
    options, chosen = device.options, {}
    if options.float16:
        chosen["trt_fp16_enable"] = "1"
    if options.cuda_graphs:
        chosen["trt_cuda_graph_enable"] = "1"
    if options.memory_limit_mb is not None:
        chosen["trt_max_workspace_size"] = str(options.memory_limit_mb * 1_000_000)
    if options.engine_cache is not None:
        folder = str(Path(options.engine_cache).expanduser().absolute())
        chosen |= {"trt_engine_cache_enable": "1", "trt_engine_cache_path": folder}
        chosen |= {"trt_timing_cache_enable": "1", "trt_timing_cache_path": folder}
    return chosen


def provider_options_in_force(told: Mapping[str, Mapping[str, str]]) -> list[str]:
    """What `session.get_provider_options()` tells, in words: what is set, and not what was asked."""
    cuda = told.get("CUDAExecutionProvider", {})
    tensorrt = told.get("TensorrtExecutionProvider", {})
    words = []
    limit = int(cuda.get("gpu_mem_limit", 0) or 0)
    if 0 < limit < 2**63:  # without a limit it is the largest number there is
        words.append(f"at most {limit / 1e6:,.0f} MB of GPU memory")
    if cuda:
        words.append(f"arena {cuda.get('arena_extend_strategy', 'unknown')}")
        words.append("TF32 on" if cuda.get("use_tf32", "1") == "1" else "TF32 off")
    if "1" in (cuda.get("enable_cuda_graph"), tensorrt.get("trt_cuda_graph_enable")):
        words.append("CUDA graphs")
    if tensorrt.get("trt_fp16_enable") == "1":
        words.append("float16 where TensorRT finds it faster")
    if tensorrt.get("trt_engine_cache_enable") == "1":
        words.append(f"engines kept in {tensorrt.get('trt_engine_cache_path')}")
    return words
