"""Reads the file that ONNX Runtime's profiler writes.

It is a list of complete events of the Trace Event Format, one a line, times in whole microseconds
(onnxruntime/core/common/profiler.cc). Events of the category "Session" are the loading, the
initialization and each run; those of "Node" that end in `_kernel_time` are calls of nodes. A build
with CUPTI adds "Kernel": what the GPU really did. Older versions do not escape names.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from mlflow_tfconv.steps.benchmark.worker.operator_calls import Call, Recording, Run

_NODE = "_kernel_time"
_LOADING = "model_loading_"
_STREAM = 1 << 62  # numbers streams of a GPU apart from threads
_MOST_EVENTS = 1_000_000  # as many as ONNX Runtime keeps; a file of them is read in ten seconds
_CPU = "CPUExecutionProvider"
_START = re.compile(
    r'\{"cat" : "(?P<cat>\w+)","pid" :-?\d+,"tid" :(?P<tid>-?\d+),"dur" :(?P<dur>-?\d+),'
    r'"ts" :(?P<ts>-?\d+),"ph" : "X","name" :"(?P<name>.*?)","args" : '
)
_ARGUMENT = re.compile(r'"(op_name|provider|stream|parent_name)" : "([^"]*)"')


@dataclass(slots=True)
class _Found:
    """Events by what they are."""

    runs: list[Run] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    kernels: dict[int, list[Call]] = field(default_factory=lambda: defaultdict(list))
    load_us: float | None = None
    known: dict[str, Call] = field(default_factory=dict)
    initialization_us: float | None = None
    count: int = 0


def onnx_recording(path: Path, *, skip: int = 0) -> Recording:
    """What the file tells.

    Args:
        path: The file that `InferenceSession.end_profiling` names.
        skip: Number of runs at the beginning that were warm-up.
    """
    found = _Found()
    for event in islice(_events(path, found), _MOST_EVENTS):
        _take(event, found)
    runs = list(_filled(sorted(found.runs, key=lambda run: run.start_us)[skip:], found))
    full = found.count >= _MOST_EVENTS
    return Recording(
        runs=tuple(runs),
        load_us=found.load_us,
        initialization_us=found.initialization_us,
        thread_names=_thread_names(runs),
        notes=("ran more operators than the profiler keeps, so only the first runs are told",)
        if full
        else (),
    )


def _events(path: Path, found: _Found) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            event = _of_known(line, found) or _event(line.strip())
            if event is not None:
                yield event


def _of_known(line: str, found: _Found) -> dict[str, Any] | None:
    """A further call of a node, of which time and thread are all that is new: a tenth of the work."""
    start = _START.match(line)
    if start is None or start["cat"] != "Node" or start["name"] not in found.known:
        return None
    numbers = {key: int(start[key]) for key in ("tid", "dur", "ts")}
    return {"cat": "Node", "name": start["name"], **numbers}


def _event(line: str) -> dict[str, Any] | None:
    """One line; what is no event, or was cut off, is left out."""
    if not line.startswith("{"):
        return None
    try:
        event: dict[str, Any] = json.loads(line.rstrip(","))
    except ValueError:
        start = _START.match(line)
        if start is None or not line.rstrip(",").endswith("}"):
            return None
        numbers = {key: int(start[key]) for key in ("tid", "dur", "ts")}
        arguments = dict(_ARGUMENT.findall(line[start.end() :]))
        event = {"cat": start["cat"], "name": start["name"], **numbers, "args": arguments}
    return event if {"cat", "name", "ts", "dur", "tid"} <= set(event) else None


def _take(event: dict[str, Any], found: _Found) -> None:
    found.count += 1
    name, duration = str(event["name"]), max(float(event["dur"]), 0.0)
    if event["cat"] == "Node" and name.endswith(_NODE):
        found.calls.append(_call(event, name.removesuffix(_NODE), found))
    elif event["cat"] == "Kernel" and found.calls:
        found.kernels[len(found.calls) - 1].append(_kernel(event, found.calls[-1], duration))
    elif event["cat"] == "Session":
        _take_session(event, name, duration, found)


def _take_session(event: dict[str, Any], name: str, duration: float, found: _Found) -> None:
    if name == "model_run":
        start, thread = float(event["ts"]), int(event["tid"])
        found.runs.append(Run(thread=thread, start_us=start, duration_us=duration))
    elif name == "session_initialization":
        found.initialization_us = duration
    elif name.startswith(_LOADING):
        found.load_us = duration


def _call(event: dict[str, Any], node: str, found: _Found) -> Call:
    name, start, thread = str(event["name"]), float(event["ts"]), int(event["tid"])
    duration = max(float(event["dur"]), 0.0)
    known = found.known.get(name)
    if known is not None:
        return replace(known, thread=thread, start_us=start, duration_us=duration)
    told = event.get("args") or {}
    found.known[name] = Call(
        node=node,
        operator=str(told.get("op_name") or node),
        place=str(told.get("provider") or _CPU),
        thread=thread,
        start_us=start,
        duration_us=duration,
        shapes=_shapes(told.get("input_type_shape")),
    )
    return found.known[name]


def _kernel(event: dict[str, Any], call: Call, duration: float) -> Call:
    """What the GPU did for a call, which in the file stands before it."""
    stream = str((event.get("args") or {}).get("stream") or 0)
    thread = _STREAM + (int(stream) if stream.isdigit() else 0)
    return replace(call, thread=thread, start_us=float(event["ts"]), duration_us=duration)


def _shapes(told: Any) -> str:
    """`[{"float": [1, 3]}]` in words."""
    if not isinstance(told, list):
        return ""
    pairs = (pair for one in told if isinstance(one, dict) for pair in one.items())
    return " ".join(f"{kind}{json.dumps(shape, separators=(',', ':'))}" for kind, shape in pairs)


def _filled(runs: list[Run], found: _Found) -> Iterator[Run]:
    """The runs with their calls; where the GPU's own times are known they stand for the launches."""
    calls = [
        call
        for number, launched in enumerate(found.calls)
        for call in (found.kernels.get(number) or [launched])
    ]
    calls.sort(key=lambda call: call.start_us)
    at = 0
    for run in runs:
        while at < len(calls) and calls[at].start_us < run.start_us:
            at += 1
        first, end = at, run.start_us + run.duration_us
        while at < len(calls) and calls[at].start_us <= end:
            at += 1
        yield replace(run, calls=tuple(calls[first:at]))


def _thread_names(runs: list[Run]) -> dict[int, str]:
    threads = {call.thread for run in runs for call in run.calls}
    streams = {n: f"GPU stream {n - _STREAM}" for n in threads if n >= _STREAM}
    return {**streams, **dict.fromkeys({run.thread for run in runs}, "run")}
