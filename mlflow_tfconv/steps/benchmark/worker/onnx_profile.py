"""Profiles an ONNX file in a session of its own, with the device and options it is timed with."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow_tfconv.device import Device, onnxruntime_session
from mlflow_tfconv.steps.benchmark.examples import Batch
from mlflow_tfconv.steps.benchmark.worker.onnx_nodes import NodeGraph, onnx_nodes
from mlflow_tfconv.steps.benchmark.worker.onnx_recording import onnx_recording
from mlflow_tfconv.steps.benchmark.worker.operator_calls import Recording
from mlflow_tfconv.steps.benchmark.worker.placement import Assignment
from mlflow_tfconv.steps.benchmark.worker.profile_files import Profile, written_profile
from mlflow_tfconv.steps.benchmark.worker.profile_plan import ProfilePlan, profile_plan, times_ms
from mlflow_tfconv.steps.benchmark.worker.provider_choices import (
    RECORDED,
    TALKATIVE,
    compiled_nodes,
    names_left_on_cpu,
)

if TYPE_CHECKING:
    from mlflow_tfconv.steps.benchmark.worker.opened_model import OpenedModel

_MOST_BYTES = 500_000_000  # a larger graph is not written out a second time
_BLOCKING = "CUDA_LAUNCH_BLOCKING"


def onnx_profile(
    opened: OpenedModel, batch_size: int, *, seconds: float, most_runs: int
) -> dict[str, Any]:
    """Runs the file with ONNX Runtime's profiler, and without it before and after.

    Args:
        opened: The model in the session that is timed.
        batch_size: Examples in a run.
        seconds: For all profiled runs.
        most_runs: Limit of their number.
    """
    path, device = Path(opened.job.model), _without_graphs(opened.device)
    batches = opened.examples(batch_size)
    calls = [opened.runtime.call_for(batch) for batch in batches]
    with (
        names_left_on_cpu() if device.indices else contextlib.nullcontext(set[str]()) as left_on_cpu
    ):
        graphs = _graphs(path, opened, device)
    first = min(times_ms(calls, 2))
    plan = profile_plan(first, seconds=seconds, most_runs=most_runs, nodes=_node_count(graphs))
    plain = times_ms(calls, plan.before)
    session = _session(path, opened, device, _profiling(opened.folder))
    counts = compiled_nodes(session)
    recording = _recorded(session, batches, plan, first)
    plain += times_ms(calls, plan.runs - plan.before)
    profile = Profile(
        name=path.name,
        runtime=f"onnxruntime {importlib.import_module('onnxruntime').__version__}",
        batch_size=batch_size,
        recording=recording,
        plain_ms=plain,
        graphs=graphs,
        notes=_notes(device, recording),
        assignment=Assignment(device=device, counts=counts, left_on_cpu=frozenset(left_on_cpu)),
    )
    return written_profile(profile, opened.folder)


def _recorded(
    session: Any, batches: Sequence[Batch], plan: ProfilePlan, plain_ms: float
) -> Recording:
    calls = [partial(session.run, None, batch) for batch in batches]
    warmup = times_ms(calls, plan.warmup)
    runs = plan.runs_after(min(warmup), plain_ms)
    times_ms(calls, runs)
    with _passing(Path(session.end_profiling())) as file:
        return onnx_recording(file, skip=plan.warmup if runs else plan.warmup - 1)


def _node_count(graphs: Mapping[str, Any]) -> int:
    known = graphs.get("optimized") or graphs.get("file")
    return len(known["nodes"]) if known else 1


def _session(path: Path, opened: OpenedModel, device: Device, extra: dict[str, Any]) -> Any:
    return onnxruntime_session(path, device, {**opened.session_options, **extra})


def _profiling(folder: Path) -> dict[str, Any]:
    prefix = str(folder / "onnxruntime_profile")
    return {"enable_profiling": True, "profile_file_prefix": prefix, **RECORDED}


def _graphs(path: Path, opened: OpenedModel, device: Device) -> dict[str, Any]:
    """The nodes of the file, and those that ONNX Runtime makes of them."""
    found: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        found["file"] = onnx_nodes(path).to_plain()
    optimized = _optimized(path, opened, device)
    return found if optimized is None else {**found, "optimized": optimized.to_plain()}


def _optimized(path: Path, opened: OpenedModel, device: Device) -> NodeGraph | None:
    """None where it can't be written out: too large, or with nodes that a provider has compiled."""
    if path.stat().st_size > _MOST_BYTES or device.kind == "tensorrt":
        return None
    with _passing(opened.folder / "optimized.onnx") as file:
        options = {
            "optimized_model_filepath": str(file),
            "session.disable_prepacking": "1",
            **({} if device.kind == "cpu" else TALKATIVE),
        }
        try:
            _session(path, opened, device, options)
            return onnx_nodes(file)
        except Exception:  # noqa: BLE001 (the names of nodes alone then have to do)
            return None


@contextlib.contextmanager
def _passing(file: Path) -> Iterator[Path]:
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)


def _without_graphs(device: Device) -> Device:
    """A CUDA graph is one launch, in which no node has a time."""
    if not device.options.cuda_graphs:
        return device
    options = dataclasses.replace(device.options, cuda_graphs=False)
    return dataclasses.replace(device, options=options)


def _notes(device: Device, recording: Recording) -> tuple[str, ...]:
    """Launches return before the GPU has done its work, unless CUDA is told to wait."""
    measured = any("GPU" in name for name in recording.thread_names.values())
    if device.kind == "cpu" or measured or os.environ.get(_BLOCKING) == "1":
        return ()
    return ("times of operators on the GPU are those of launching them",)
