"""A profile read back: the times of nodes in each run, with the graphs that they belong to."""

from __future__ import annotations

import json
import re
from collections import defaultdict, deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.steps.benchmark.worker.onnx_nodes import GraphNode, NodeGraph
from mlflow_tfconv.steps.benchmark.worker.profile_files import PROFILE_FILE, TIMES_FILE

_UNNAMED = re.compile(r"(.+)_\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfiledModel:
    """What is known of where a model's time goes.

    Attributes:
        name: Of the model.
        ran: The nodes that ran, as the runtime has them after its own optimizations; without
            knowledge of their graph they have names only.
        times_us: (nodes, runs) float32, with all that runs inside of a node.
        file: The nodes of the file; None where nobody could read them.
        total_ms: What its nodes and the framework take together.
        profiler_us: What the profiler has added to each call, by estimate, and was taken off.
        batch_size: Examples in a run.
    """

    name: str
    ran: tuple[GraphNode, ...]
    times_us: np.ndarray[Any, Any]
    file: NodeGraph | None
    total_ms: float
    profiler_us: float
    batch_size: int


def profiled_model(folder: Path) -> ProfiledModel | None:
    """What the worker's profile left in a folder; None when there is none."""
    try:
        told = json.loads((folder / PROFILE_FILE).read_text(encoding="utf-8"))
        times = np.load(folder / TIMES_FILE)
    except (OSError, ValueError):
        return None
    graphs = {name: NodeGraph.from_plain(plain) for name, plain in told["graphs"].items()}
    rows = [(str(name), str(operator)) for name, operator in told["rows_of_times"]]
    return ProfiledModel(
        name=told["name"],
        ran=tuple(_ran(rows, graphs.get("optimized"))),
        times_us=times,
        file=graphs.get("file"),
        total_ms=told["total_ms"],
        profiler_us=told["profiler_us"],
        batch_size=told["batch_size"],
    )


def _ran(rows: list[tuple[str, str]], graph: NodeGraph | None) -> list[GraphNode]:
    """A node for each row of times, with its tensors where the graph tells them.

    The profiler calls a node without a name `<type>_<number>`. Its number is not in the file, but
    both have such nodes of a type in the order in which they run.
    """
    named: dict[str, GraphNode] = {}
    unnamed: dict[str, deque[GraphNode]] = defaultdict(deque)
    for node in graph.nodes if graph else ():
        if node.name:
            named.setdefault(node.name, node)
        else:
            unnamed[node.operator].append(node)
    found = []
    for name, operator in rows:
        known = named.get(name)
        if known is None and _UNNAMED.fullmatch(name) and unnamed[operator]:
            known = unnamed[operator].popleft()
        tensors = (known.inputs, known.outputs) if known else ((), ())
        found.append(GraphNode(name, operator, *tensors))
    return found
