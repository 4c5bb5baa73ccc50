"""Which device computes how much of a model: from the nodes that a profiler has seen at work."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlflow_tfconv.device import Device

_CPU_PLACES = ("CPUExecutionProvider", "/device:CPU")
_WANTED = {
    "cpu": _CPU_PLACES,
    "cuda": ("CUDAExecutionProvider", "/device:GPU"),
    "tensorrt": ("TensorrtExecutionProvider", "/device:GPU"),
}
#: Nodes that the runtimes add to carry values from one device to another.
COPIES = frozenset({"MemcpyFromHost", "MemcpyToHost", "_Send", "_HostSend", "_Recv", "_HostRecv"})
#: ONNX Runtime leaves what computes with so few numbers that are on the host already on the CPU
#: (kSmallInitializerThreshold of core/framework/fallback_cpu_capability.cc).
_FEW = 100
_CALLS = re.compile(r"^(?:(?:Stateful)?PartitionedCall(?:_\d+)?/)+")
_SHAPE = re.compile(r"(\w+)\[([\d,]*)\]")
_WHOLE = re.compile(r"u?int\d+|bool")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What a runtime says itself of where it has put the nodes of a model.

    Attributes:
        device: What was asked for.
        counts: Place to the number of nodes there, where the nodes that were seen at work are not
            the model's: many may have been compiled into one.
        places: `bare_name` of a node to its place, where the profiler shows another one: the host launches what a
            GPU computes.
        left_on_cpu: Names of nodes that were left on the CPU since that is quicker.
        copies: How many values are carried between devices, where the profiler does not show it.
    """

    device: Device
    counts: Mapping[str, int] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    left_on_cpu: frozenset[str] = frozenset()
    copies: int | None = None


def placement(nodes: Sequence[Mapping[str, Any]], assignment: Assignment) -> dict[str, Any]:
    """What each device does of a run.

    Args:
        nodes: Rows with `node`, `operator`, `place`, `shapes` (of the inputs), `calls` and `ms`.
        assignment: What is known besides.

    Returns:
        `places` (place, nodes, node_share, ms, time_share); `copies` (nodes, calls in a run, ms,
        operators); `node_share` and `time_share` of the device that was asked for; `shape_nodes`:
        how many compute shapes on the CPU, which are in no share of nodes; `elsewhere`: operator to
        number of the other nodes that are not on the device. The time of copies is in the total
        and in no place.
    """
    device = assignment.device
    placed = [{**row, "place": _place(row, assignment)} for row in nodes]
    copies = [row for row in placed if row["operator"] in COPIES]
    working = [row for row in placed if row["operator"] not in COPIES]
    shapes = [row for row in working if _is_of_shapes(row, assignment)]
    counted = [row for row in working if not any(row is one for one in shapes)]
    places = _places(working, _counts(counted, assignment), sum(float(r["ms"]) for r in placed))
    wanted = [row for row in places if _is_wanted(row["place"], device)]
    away = [row["operator"] for row in counted if not _is_wanted(row["place"], device)]
    return {
        "device": str(device),
        "places": places,
        "node_share": sum(row["node_share"] for row in wanted),
        "time_share": sum(row["time_share"] for row in wanted),
        "copies": _told_copies(copies, assignment),
        "shape_nodes": len(shapes),
        "elsewhere": dict(Counter(away).most_common()),
    }


def bare_name(node: str) -> str:
    """Without the calls of functions that a node of TensorFlow was inlined from."""
    return _CALLS.sub("", node)


def _place(row: Mapping[str, Any], assignment: Assignment) -> str:
    return str(assignment.places.get(bare_name(row["node"]), row["place"]))


def _counts(counted: Sequence[Mapping[str, Any]], assignment: Assignment) -> Counter[str]:
    counts = Counter(str(row["place"]) for row in counted)
    counts.update({place: n - counts[place] for place, n in assignment.counts.items()})
    return counts


def _places(
    working: Sequence[Mapping[str, Any]], counts: Counter[str], total_ms: float
) -> list[dict[str, Any]]:
    spent: dict[str, float] = dict.fromkeys(counts, 0.0)
    for row in working:
        spent[row["place"]] = spent.get(row["place"], 0.0) + float(row["ms"])
    whole = sum(counts.values())
    return [
        {
            "place": place,
            "nodes": counts[place],
            "node_share": _share(counts[place], whole),
            "ms": ms,
            "time_share": _share(ms, total_ms),
        }
        for place, ms in sorted(spent.items(), key=lambda item: -item[1])
    ]


def _is_wanted(place: str, device: Device) -> bool:
    return place.startswith(_WANTED[device.kind])


def _is_of_shapes(row: Mapping[str, Any], assignment: Assignment) -> bool:
    """Named by the runtime, or fed with a few whole numbers only."""
    if assignment.device.kind == "cpu" or not str(row["place"]).startswith(_CPU_PLACES):
        return False
    if row["node"] in assignment.left_on_cpu:
        return True
    found = _SHAPE.findall(str(row.get("shapes", "")))
    return bool(found) and all(
        _WHOLE.fullmatch(kind) and _size(sizes) <= _FEW for kind, sizes in found
    )


def _size(sizes: str) -> int:
    product = 1
    for size in filter(None, sizes.split(",")):
        product *= int(size)
    return product


def _told_copies(rows: Sequence[Mapping[str, Any]], assignment: Assignment) -> dict[str, Any]:
    return {
        "nodes": len(rows) if assignment.copies is None else assignment.copies,
        "calls": sum(float(row["calls"]) for row in rows),
        "ms": sum(float(row["ms"]) for row in rows),
        "operators": dict(Counter(str(row["operator"]) for row in rows)),
    }


def _share(part: float, total: float) -> float:
    return part / total if total > 0 else 0.0
