"""A trace that opens in chrome://tracing and in Perfetto.

The Trace Event Format's JSON object: complete events (`ph: X`) with times in microseconds, and
metadata events (`ph: M`) with the names of the process and of its threads. Perfetto wants complete
events of a thread to nest, so one that by rounding ends after the one around it is cut there.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow_tfconv.steps.benchmark.worker.operator_calls import (
    Call,
    Recording,
    Run,
    in_order,
)

TRACE_FILE = "trace.json"
_MOST_EVENTS = 20_000
_MOST_RUNS = 5
_COMPRESSED_FROM_BYTES = 1_000_000
_PROCESS = 1


def write_trace(folder: Path, recording: Recording, about: Mapping[str, Any]) -> Path:
    """Writes the first runs, as many as a browser shows with ease.

    Args:
        folder: Where to.
        recording: What the profiler has recorded.
        about: What the trace is of, by name; "name" names its process.

    Returns:
        `trace.json`, or `trace.json.gz` when it is large: both viewers take either.
    """
    events = trace_events(recording, str(about.get("name", "model")))
    trace = {"traceEvents": events, "displayTimeUnit": "ms", "otherData": _words(about)}
    data = json.dumps(trace, separators=(",", ":"), allow_nan=False).encode()
    file = folder / TRACE_FILE
    if len(data) >= _COMPRESSED_FROM_BYTES:
        file = file.with_name(file.name + ".gz")
        data = gzip.compress(data, compresslevel=6, mtime=0)
    file.write_bytes(data)
    return file


def trace_events(recording: Recording, process: str) -> list[dict[str, Any]]:
    """The events of the first runs, from time 0 on."""
    runs = _shown(recording.runs)
    start = runs[0].start_us if runs else 0.0
    threads = _numbered(runs)
    named = [_metadata("process_name", 0, {"name": process})]
    for thread, number in threads.items():
        name = recording.thread_names.get(thread) or f"thread {number}"
        named.append(_metadata("thread_name", number, {"name": name}))
    timed = [event for run in runs for event in _events_of(run, threads, start)]
    return [*named, *timed]


def _shown(runs: Sequence[Run]) -> list[Run]:
    """At least one run; of a single one with too many calls the first of them."""
    shown: list[Run] = []
    room = _MOST_EVENTS
    for run in runs[:_MOST_RUNS]:
        if shown and len(run.calls) > room:
            break
        shown.append(run)
        room -= len(run.calls)
    return shown


def _numbered(runs: Sequence[Run]) -> dict[int, int]:
    """Threads, the one that runs are asked for on first, with small numbers from 1 on."""
    found = dict.fromkeys(run.thread for run in runs)
    found.update(dict.fromkeys(call.thread for run in runs for call in run.calls))
    return {thread: number for number, thread in enumerate(found, start=1)}


def _events_of(run: Run, threads: Mapping[int, int], start: float) -> Iterator[dict[str, Any]]:
    yield {
        **_complete("run", "run", run.start_us - start, run.end_us - start),
        "tid": threads[run.thread],
    }
    calls = in_order(run.calls[:_MOST_EVENTS])
    ends: list[tuple[int, float]] = []
    for call in calls:
        while ends and (ends[-1][0] != call.thread or ends[-1][1] <= call.start_us):
            ends.pop()
        limit = ends[-1][1] if ends else _latest_end(run, call)
        ends.append((call.thread, min(call.end_us, limit)))
        yield {
            **_complete(call.node, call.operator, call.start_us - start, ends[-1][1] - start),
            "tid": threads[call.thread],
            "args": _arguments(call),
        }


def _latest_end(run: Run, call: Call) -> float:
    return run.end_us if run.thread == call.thread else call.end_us


def _complete(name: str, category: str, start: float, end: float) -> dict[str, Any]:
    """Whole nanoseconds, so that what nests still does after rounding."""
    first, last = round(start * 1000), round(end * 1000)
    return {
        "name": name,
        "cat": category,
        "ph": "X",
        "ts": first / 1000,
        "dur": max(last - first, 0) / 1000,
        "pid": _PROCESS,
    }


def _arguments(call: Call) -> dict[str, str]:
    told = {"operator": call.operator, "place": call.place, "inputs": call.shapes}
    return {name: value for name, value in told.items() if value}


def _metadata(name: str, thread: int, told: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": name,
        "cat": "__metadata",
        "ph": "M",
        "ts": 0,
        "pid": _PROCESS,
        "tid": thread,
        "args": told,
    }


def _words(about: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in about.items()}
