"""Where the time of a run goes: the medians over runs of every node and of every type of operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mlflow_tfconv.steps.benchmark.worker.operator_calls import (
    Call,
    Run,
    busy_us,
    own_times,
)

FloatArray = np.ndarray[Any, Any]
_US_PER_MS = 1e3
_TRIED = 1001
_ROUNDING, _ABOUT, _TOO_MUCH = 1e-9, 1.1, 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeTimes:
    """One node over all runs.

    Attributes:
        node: Its name in the runtime.
        outermost: Name of the Loop, If or Scan at the top of the graph that it runs inside of; its
            own name for a node at the top.
        operator: Its type.
        place: What computes it.
        shapes: Inputs of its first call.
        calls: (runs,) float64, how often it was called in each run.
        inside: (runs,) float64, how many calls ran right inside of it.
        own_us: (runs,) float64, its own time in each run, without what runs inside of it.
    """

    node: str
    outermost: str
    operator: str
    place: str
    shapes: str
    calls: FloatArray
    inside: FloatArray
    own_us: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTimes:
    """Where the time of a run goes.

    Attributes:
        nodes: In the order in which they first ran.
        run_us: (runs,) float64, how long each run took with the profiler at work.
        busy_us: (runs,) float64, how long at least one node was at work.
        profiler_us: What the profiler has added to each call, and was taken off.
    """

    nodes: tuple[NodeTimes, ...]
    run_us: FloatArray
    busy_us: FloatArray
    profiler_us: float = 0.0


def operator_times(runs: Sequence[Run]) -> OperatorTimes:
    """Adds up the calls of each node in each run."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for number, run in enumerate(runs):
        for found in own_times(run.calls):
            key = (found.outermost, found.call.node)
            row = rows.get(key) or rows.setdefault(key, _row(found.call, len(runs)))
            row["calls"][number] += 1
            row["inside"][number] += found.inside
            row["own_us"][number] += found.own_us
            row["first"] = min(row["first"], (number, found.call.start_us))
    ordered = sorted(rows.items(), key=lambda item: item[1]["first"])
    return OperatorTimes(
        nodes=tuple(_node_times(outermost, row) for (outermost, _), row in ordered),
        run_us=np.array([run.duration_us for run in runs], dtype=np.float64),
        busy_us=np.array([busy_us(run.calls) for run in runs], dtype=np.float64),
    )


def without_profiler(times: OperatorTimes, least_ms: float) -> OperatorTimes:
    """The same with the profiler's own time taken off, as far as it is known.

    All calls together cost what runs have become longer by. A part of a call's cost lies within its
    own time (ONNX Runtime counts the bytes of inputs and outputs there), the rest around it, and so
    within the call that it runs inside of. How large the first part is follows from what is left:
    nodes can't be at work for longer than a run without the profiler takes. The quickest node has
    the same cost in it, which is then the most. For models of a few microseconds a node this takes
    off more than half; for larger ones it is nothing. The quickest runs are compared, since a
    machine may be busier at one time than at another.

    Where calls are so small that this does not explain them, nothing is taken off.

    Args:
        times: What was recorded.
        least_ms: The quickest run without the profiler.
    """
    least_us = least_ms * _US_PER_MS
    calls = _median(np.sum([node.calls for node in times.nodes], axis=0))
    whole = max(_least(times.run_us) - least_us, 0.0) / max(calls, 1.0)
    within = _within(times, whole, least_us)
    if within is None:
        return times
    nodes = [
        replace(n, own_us=np.maximum(n.own_us - n.calls * within - n.inside * (whole - within), 0))
        for n in times.nodes
    ]
    share = _sum_of_own(nodes) / np.maximum(_sum_of_own(times.nodes), 1e-9)
    return replace(times, nodes=tuple(nodes), busy_us=times.busy_us * share, profiler_us=within)


def is_outweighed(times: OperatorTimes, least_ms: float) -> bool:
    """Whether the nodes are at work for much longer than a run without the profiler takes."""
    return _least(times.busy_us) > _TOO_MUCH * least_ms * _US_PER_MS


def _within(times: OperatorTimes, whole: float, least_us: float) -> float | None:
    """The least part of a call's cost within its own time that explains the quickest run, or None.

    Args:
        times: What was recorded.
        whole: The cost of a call, microseconds.
        least_us: What the nodes can take in the quickest run.
    """
    quickest = int(np.argmin(times.busy_us))
    own, calls, inside = (
        np.array([getattr(node, name)[quickest] for node in times.nodes])[:, None]
        for name in ("own_us", "calls", "inside")
    )
    most = min(whole, *(_of_a_call(node) for node in times.nodes))
    tried = np.linspace(0.0, most, _TRIED)
    left = np.maximum(own - calls * tried - inside * (whole - tried), 0.0).sum(axis=0)
    beside = float(own.sum()) / max(float(times.busy_us[quickest]), 1e-9)  # nodes side by side
    for part in (1.0 + _ROUNDING, _ABOUT, _TOO_MUCH):
        enough = np.flatnonzero(left <= least_us * beside * part)
        if len(enough):
            return float(tried[enough[0]])
    return None


def where_time_goes(times: OperatorTimes, least_ms: float | None) -> dict[str, Any]:
    """The medians as plain values, in milliseconds, with shares of the total.

    What of a run no node explains is told as time outside of nodes: the framework's own. It is what
    the quickest run without the profiler takes beyond the quickest that the nodes were at work for,
    and at most what the profiled runs have of it: where a machine was busier while runs were timed
    without the profiler, the difference is no work of the framework. The total is the sum; where nodes run side by side it is more than a run takes.

    Args:
        times: What was recorded, or what `without_profiler` made of it.
        least_ms: The quickest run without the profiler; None compares within the runs with it.
    """
    own = [_median(node.own_us) / _US_PER_MS for node in times.nodes]
    outside = _median(times.run_us - times.busy_us) / _US_PER_MS
    if least_ms is not None:
        outside = min(least_ms - _least(times.busy_us) / _US_PER_MS, outside)
    outside = max(outside, 0.0)
    total = sum(own) + outside
    nodes = [_told(node, ms, total) for node, ms in zip(times.nodes, own, strict=True)]
    return {
        "runs": len(times.run_us),
        "run_ms": _median(times.run_us) / _US_PER_MS,
        "total_ms": total,
        "outside_ms": outside,
        "outside_share": _share(outside, total),
        "profiler_us": times.profiler_us,
        "operators": _by_operator(times.nodes, total),
        "nodes": nodes,
    }


def whole_times(times: OperatorTimes) -> dict[str, FloatArray]:
    """Name of each node at the top to its time in each run with all inside: (runs,) float64, us."""
    found: dict[str, FloatArray] = {}
    for node in times.nodes:
        before = found.get(node.outermost)
        found[node.outermost] = node.own_us if before is None else before + node.own_us
    return found


def most(rows: Sequence[Mapping[str, Any]], count: int = 10) -> list[dict[str, Any]]:
    """The rows that take the most time."""
    return [dict(row) for row in sorted(rows, key=lambda row: -row["ms"])[:count]]


def _sum_of_own(nodes: Sequence[NodeTimes]) -> FloatArray:
    """(runs,) float64, microseconds."""
    summed: FloatArray = np.sum([node.own_us for node in nodes], axis=0)
    return summed


def _row(call: Call, runs: int) -> dict[str, Any]:
    arrays = {name: np.zeros(runs) for name in ("calls", "inside", "own_us")}
    return {"call": call, "first": (runs, 0.0), **arrays}


def _node_times(outermost: str, row: Mapping[str, Any]) -> NodeTimes:
    call = row["call"]
    return NodeTimes(
        node=call.node,
        outermost=outermost,
        operator=call.operator,
        place=call.place,
        shapes=call.shapes,
        **{name: row[name] for name in ("calls", "inside", "own_us")},
    )


def _by_operator(nodes: Sequence[NodeTimes], total: float) -> list[dict[str, Any]]:
    """Types of operators, the one that takes the most time first."""
    kinds: dict[tuple[str, str], list[NodeTimes]] = {}
    for node in nodes:
        kinds.setdefault((node.operator, node.place), []).append(node)
    rows = [_told_kind(kind, members, total) for kind, members in kinds.items()]
    return most(rows, len(rows))


def _told_kind(kind: tuple[str, str], members: Sequence[NodeTimes], total: float) -> dict[str, Any]:
    # Medians are added, as in the total: an interruption hits another node in each run.
    spent = sum(_median(node.own_us) for node in members) / _US_PER_MS
    return {
        "operator": kind[0],
        "place": kind[1],
        "nodes": len(members),
        "calls": sum(_median(node.calls) for node in members),
        "ms": spent,
        "share": _share(spent, total),
    }


def _told(node: NodeTimes, spent: float, total: float) -> dict[str, Any]:
    inside = {"inside": node.outermost} if node.outermost != node.node else {}
    return {
        "node": node.node,
        **inside,
        "operator": node.operator,
        "place": node.place,
        "shapes": node.shapes,
        "calls": _median(node.calls),
        "ms": spent,
        "share": _share(spent, total),
    }


def _median(values: FloatArray) -> float:
    return float(np.median(values)) if len(values) else 0.0


def _least(values: FloatArray) -> float:
    return float(np.min(values)) if len(values) else 0.0


def _of_a_call(node: NodeTimes) -> float:
    """Typical time of one call, microseconds; of a node that few runs call no bound."""
    called = node.calls > 0
    return _median(node.own_us[called] / node.calls[called]) if called.any() else float("inf")


def _share(part: float, total: float) -> float:
    return part / total if total > 0 else 0.0
