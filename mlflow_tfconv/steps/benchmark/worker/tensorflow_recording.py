"""Reads the XSpace that TensorFlow's profiler writes.

A plane of the host has a line for each thread and a plane of a GPU one for each stream; events name
their metadata by number (tsl/profiler/protobuf/xplane.proto). An operation of the host is called
`<node>:<type>` and displayed as its type; a kernel of a GPU carries that name as the statistic
`tf_op`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tensorflow.tsl.profiler.protobuf import xplane_pb2

from mlflow_tfconv.steps.benchmark.worker.operator_calls import Call, Recording, Run

RUN = "tfconv_run"
_HOST = "/host:CPU"
_GPU = "/device:GPU:"
_TF_OP = "tf_op"
_PS_PER_US, _NS_PER_US = 1e6, 1e3
_STREAM = 1 << 62  # numbers streams of a GPU apart from threads


def tensorflow_recording(folder: Path) -> Recording:
    """What lies below the folder that `tf.profiler.experimental.start` was given.

    Raises:
        ValueError: There is no recording, or it is damaged.
    """
    files = sorted(folder.rglob("*.xplane.pb"))
    if not files:
        raise ValueError("TensorFlow's profiler left no recording")
    space = xplane_pb2.XSpace()
    try:
        space.ParseFromString(files[-1].read_bytes())
    except Exception as error:  # protobuf's DecodeError has no public home
        raise ValueError(f"TensorFlow's recording can't be read: {error}") from error
    return recording_of(space)


def recording_of(space: Any) -> Recording:
    """The runs of an XSpace with their operations."""
    runs: list[Run] = []
    calls: list[Call] = []
    names: dict[int, str] = {}
    for plane, line, thread, begin in _lines(space):
        names[thread] = _name(plane, line)
        calls.extend(_calls(plane, line, thread, begin))
        runs.extend(_runs(plane, line, thread, begin))
    return Recording(
        runs=tuple(_filled(sorted(runs, key=lambda run: run.start_us), _without_launches(calls))),
        thread_names={**names, **dict.fromkeys((run.thread for run in runs), "run")},
        notes=tuple(str(text) for text in (*space.errors, *space.warnings)),
    )


def _lines(space: Any) -> Iterator[tuple[Any, Any, int, float]]:
    """Lines of the host and of GPUs: plane, line, a number of its own, its beginning.

    Beginnings are microseconds after the first of all: those since 1970 leave a float no fractions.
    """
    planes = [p for p in space.planes if p.name == _HOST or p.name.startswith(_GPU)]
    first = min((line.timestamp_ns for plane in planes for line in plane.lines), default=0)
    for plane in planes:
        for number, line in enumerate(plane.lines):
            begin = (line.timestamp_ns - first) / _NS_PER_US
            yield plane, line, _thread(plane, number), begin


def _thread(plane: Any, number: int) -> int:
    """Numbers of threads are not to be relied on: two lines may share one."""
    if plane.name == _HOST:
        return number
    return _STREAM + number + (int(plane.name.removeprefix(_GPU).split()[0]) << 32)


def _name(plane: Any, line: Any) -> str:
    own = str(line.display_name or line.name).partition("/")[0]
    return own if plane.name == _HOST else f"{plane.name.removeprefix('/device:')} {own}"


def _calls(plane: Any, line: Any, thread: int, begin: float) -> Iterator[Call]:
    place = "/device:CPU:0" if plane.name == _HOST else str(plane.name).split()[0]
    for event in line.events:
        found = plane.event_metadata[event.metadata_id]
        name = found.name if plane.name == _HOST else _operation_of(plane, event)
        node, _, operator = name.rpartition(":")
        if not node or (plane.name == _HOST and found.display_name != operator):
            continue
        yield Call(
            node=node,
            operator=operator,
            place=place,
            thread=thread,
            start_us=begin + event.offset_ps / _PS_PER_US,
            duration_us=event.duration_ps / _PS_PER_US,
        )


def _operation_of(plane: Any, event: Any) -> str:
    """The name `<node>:<type>` that a kernel was launched for; empty when nobody knows."""
    for stat in event.stats:
        if plane.stat_metadata[stat.metadata_id].name == _TF_OP:
            text = stat.str_value or plane.stat_metadata[stat.ref_value].name
            return str(text)
    return ""


def _runs(plane: Any, line: Any, thread: int, begin: float) -> Iterator[Run]:
    for event in line.events:
        if plane.event_metadata[event.metadata_id].name == RUN:
            start, duration = begin + event.offset_ps / _PS_PER_US, event.duration_ps / _PS_PER_US
            yield Run(thread=thread, start_us=start, duration_us=duration)


def _without_launches(calls: list[Call]) -> list[Call]:
    """Where a GPU's own times of a node are known, the launch on the host is left out."""
    on_gpu = {call.node for call in calls if call.thread >= _STREAM}
    return [call for call in calls if call.thread >= _STREAM or call.node not in on_gpu]


def _filled(runs: list[Run], calls: list[Call]) -> Iterator[Run]:
    calls.sort(key=lambda call: call.start_us)
    for run in runs:
        inside = (c for c in calls if run.start_us <= c.start_us < run.end_us)
        yield replace(run, calls=tuple(inside))
