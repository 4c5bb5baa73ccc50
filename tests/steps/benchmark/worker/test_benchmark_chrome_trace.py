"""Traces in the Trace Event Format, checked strictly; and read by Chromium's own parser."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from trace_format import complete_events_as_devtools_reads, strictly_checked

from mlflow_tfconv.steps.benchmark.worker.chrome_trace import write_trace
from mlflow_tfconv.steps.benchmark.worker.operator_calls import Call, Recording, Run


def _recording(runs: int = 2, calls: int = 3, **changes: Any) -> Recording:
    made = []
    for number in range(runs):
        start = 1e9 + 1e6 * number
        inner = tuple(
            Call(
                **{
                    "node": f'conv "{n}"\n',
                    "operator": "Conv",
                    "place": "CPUExecutionProvider",
                    "thread": 2711,
                    "start_us": start + 1 + n * 10 / 3,
                    "duration_us": 10 / 3,
                    **changes,
                }
            )
            for n in range(calls)
        )
        duration = 2 + calls * 10 / 3
        made.append(Run(thread=2711, start_us=start, duration_us=duration, calls=inner))
    return Recording(runs=tuple(made), thread_names={2711: "run"})


def test_a_trace_keeps_to_the_format(tmp_path: Path) -> None:
    file = write_trace(tmp_path, _recording(), {"name": "int8.onnx", "batch_size": 1})
    trace = json.loads(file.read_text())
    events = strictly_checked(trace)
    assert file.name == "trace.json"
    assert [event["name"] for event in events].count("run") == 2
    assert events[1]["name"] == 'conv "0"\n'
    assert events[1]["args"]["operator"] == "Conv"
    assert trace["otherData"] == {"name": "int8.onnx", "batch_size": "1"}


def test_it_begins_at_time_0_with_named_threads(tmp_path: Path) -> None:
    trace = json.loads(write_trace(tmp_path, _recording(), {"name": "m"}).read_text())
    named = {e["name"]: e["args"]["name"] for e in trace["traceEvents"] if e["ph"] == "M"}
    assert named == {"process_name": "m", "thread_name": "run"}
    assert min(event["ts"] for event in strictly_checked(trace)) == 0


def test_what_by_rounding_ends_after_the_call_around_it_is_cut(tmp_path: Path) -> None:
    outer = Call(node="o", operator="If", place="C", thread=1, start_us=0, duration_us=9)
    inner = Call(node="i", operator="Add", place="C", thread=1, start_us=5, duration_us=5)
    run = Run(thread=1, start_us=0, duration_us=9, calls=(outer, inner))
    trace = json.loads(write_trace(tmp_path, Recording(runs=(run,)), {}).read_text())
    assert [event["dur"] for event in strictly_checked(trace)] == [9, 9, 4]


def test_many_calls_are_compressed_and_bounded(tmp_path: Path) -> None:
    file = write_trace(tmp_path, _recording(runs=9, calls=9000), {"name": "large"})
    assert file.name == "trace.json.gz"
    events = strictly_checked(json.loads(gzip.decompress(file.read_bytes())))
    assert [event["name"] for event in events].count("run") == 2
    assert len(events) <= 20_005


def test_a_single_run_with_too_many_calls_is_cut(tmp_path: Path) -> None:
    file = write_trace(tmp_path, _recording(runs=1, calls=30_000), {"name": "huge"})
    events = strictly_checked(json.loads(gzip.decompress(file.read_bytes())))
    assert len(events) == 20_001


def test_a_recording_without_runs_is_an_empty_trace(tmp_path: Path) -> None:
    file = write_trace(tmp_path, Recording(runs=()), {"name": "m"})
    assert strictly_checked(json.loads(file.read_text())) == []


@pytest.mark.browser
def test_chromium_reads_every_event(tmp_path: Path) -> None:
    file = write_trace(tmp_path, _recording(runs=3, calls=7), {"name": "m"})
    assert complete_events_as_devtools_reads(file) == {"run": 3 * (1 + 7)}
