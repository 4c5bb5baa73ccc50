"""What a profile leaves in the worker's folder, and the short answer that names the files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.steps.benchmark.worker.chrome_trace import write_trace
from mlflow_tfconv.steps.benchmark.worker.operator_calls import Recording
from mlflow_tfconv.steps.benchmark.worker.operator_times import (
    OperatorTimes,
    is_outweighed,
    most,
    operator_times,
    where_time_goes,
    whole_times,
    without_profiler,
)
from mlflow_tfconv.steps.benchmark.worker.placement import Assignment, placement

PROFILE_FILE = "profile.json"
TIMES_FILE = "profile_times.npy"
#: Operators that compute nothing: they change the type, the layout or the place of a tensor.
CONVERSIONS = frozenset(
    {
        *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Cast", "CastLike"),
        *("Transpose", "ReorderInput", "ReorderOutput", "MemcpyFromHost", "MemcpyToHost"),
        *("QuantizeV2", "Dequantize", "Requantize", "_MklToTf", "_MklTranspose", "_HostCast"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One profile of a model.

    Attributes:
        name: Of the model, for the trace.
        runtime: What ran it, such as "onnxruntime 1.31.1".
        batch_size: Examples in a run.
        recording: What the profiler has recorded.
        plain_ms: Times of runs without the profiler.
        graphs: "file" and "optimized": the nodes of both, as plain values, where they are known.
        notes: What a reader should know.
        assignment: What the runtime says of where it has put the nodes.
    """

    name: str
    runtime: str
    batch_size: int
    recording: Recording
    plain_ms: Sequence[float]
    graphs: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    assignment: Assignment | None = None


def written_profile(profile: Profile, folder: Path) -> dict[str, Any]:
    """Writes the profile of every node, the times of each run and the trace.

    Returns:
        The summary: times, shares, the ten operators and nodes that take the most, file names.

    Raises:
        ValueError: The profiler has recorded no complete run.
    """
    recording = profile.recording
    if not any(run.calls for run in recording.runs):
        raise ValueError("the profiler has recorded no complete run")
    least_ms = float(np.min(profile.plain_ms))
    times = without_profiler(operator_times(recording.runs), least_ms)
    found = where_time_goes(times, least_ms)
    about = {"name": profile.name, "runtime": profile.runtime, "batch_size": profile.batch_size}
    trace = write_trace(folder, recording, {**about, "runs_recorded": len(recording.runs)})
    whole = whole_times(times)
    operators = {node.node: node.operator for node in times.nodes}
    np.save(folder / TIMES_FILE, np.array(list(whole.values()), dtype=np.float32))
    summary = {
        **about,
        "plain_ms": float(np.median(profile.plain_ms)),
        **{name: found[name] for name in ("runs", "run_ms", "total_ms")},
        **{name: found[name] for name in ("outside_ms", "outside_share", "profiler_us")},
        "load_ms": _ms(recording.load_us),
        "initialization_ms": _ms(recording.initialization_us),
        "node_count": len(found["nodes"]),
        "call_count": sum(row["calls"] for row in found["nodes"]),
        "operators": most(found["operators"]),
        "nodes": most(found["nodes"]),
        "conversions": conversions(found["operators"]),
        "placement": placement(found["nodes"], profile.assignment) if profile.assignment else {},
        "notes": [*profile.notes, *recording.notes, *_doubts(times, least_ms)],
        "files": {"trace": trace.name, "profile": PROFILE_FILE, "times": TIMES_FILE},
    }
    everything = {
        **summary,
        **{name: found[name] for name in ("operators", "nodes")},
        "rows_of_times": [[name, operators.get(name, "")] for name in whole],
        "graphs": dict(profile.graphs),
    }
    text = json.dumps(everything, separators=(",", ":"))
    (folder / PROFILE_FILE).write_text(text, encoding="utf-8")
    return summary


def _doubts(times: OperatorTimes, least_ms: float) -> tuple[str, ...]:
    if not is_outweighed(times, least_ms):
        return ()
    return ("calls operators so small that the profiler outweighs them: their shares are rough",)


def conversions(operators: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the operators that only convert take together: ms, share, and ms by type."""
    found = [row for row in operators if row["operator"] in CONVERSIONS]
    return {
        "ms": sum(row["ms"] for row in found),
        "share": sum(row["share"] for row in found),
        "operators": {row["operator"]: row["ms"] for row in found},
    }


def _ms(microseconds: float | None) -> float | None:
    return None if microseconds is None else microseconds / 1e3
