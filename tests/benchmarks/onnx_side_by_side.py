"""Compares two ONNX files: python onnx_side_by_side.py A B, or A alone.

The last line that is printed is JSON: nodes of each, the largest difference of their outputs, and
how long A takes for one example in ONNX Runtime, relative to B.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

MIN_TIME_S, MIN_COUNT, WARM_UP = 10.0, 20, 5


def nodes(graph: onnx.GraphProto) -> int:
    """Number of nodes, those in the bodies of loops and conditions too."""
    bodies = (a.g for node in graph.node for a in node.attribute if a.HasField("g"))
    return len(graph.node) + sum(nodes(body) for body in bodies)


def opened(path: Path) -> onnxruntime.InferenceSession:
    """The file, on one thread, so that two can be told apart."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def example(session: onnxruntime.InferenceSession) -> dict[str, Any]:
    """One example of random values."""
    generator = np.random.default_rng(0)
    return {
        value.name: generator.random(
            [size if isinstance(size, int) else 1 for size in value.shape], np.float32
        )
        for value in session.get_inputs()
    }


def compared(first: Path, second: Path) -> dict[str, float]:
    """Runs both in turn, on the same example."""
    sessions = [opened(first), opened(second)]
    inputs = [list(example(session).values()) for session in sessions]
    feeds = [
        dict(zip((i.name for i in session.get_inputs()), inputs[0], strict=True))
        for session in sessions
    ]
    a, b = (session.run(None, fed)[0] for session, fed in zip(sessions, feeds, strict=True))
    times: list[list[int]] = [[], []]
    started = time.perf_counter()
    while time.perf_counter() - started < MIN_TIME_S or len(times[0]) < MIN_COUNT + WARM_UP:
        for place in (0, 1) if len(times[0]) % 2 else (1, 0):
            begun = time.perf_counter_ns()
            sessions[place].run(None, feeds[place])
            times[place].append(time.perf_counter_ns() - begun)
    one, other = (statistics.median(taken[WARM_UP:]) for taken in times)
    return {"difference": float(np.abs(a - b).max()), "latency_ratio": one / other}


def main(files: list[Path]) -> None:
    found: dict[str, Any] = {
        "nodes": [nodes(onnx.load(file, load_external_data=False).graph) for file in files]
    }
    if len(files) == 2:
        found |= compared(*files)
    print("\n" + json.dumps(found))


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
