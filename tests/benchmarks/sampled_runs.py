"""What watching memory costs what is watched: `python sampled_runs.py MODEL INPUTS [--pairs 100]`.

Blocks of runs with and without the benchmark's sampler alternate in one process. The last line that is
printed is JSON: the medians of the blocks' means, and their ratios pair by pair.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_tfconv.device import Device, DeviceOptions
from mlflow_tfconv.runtimes.onnx_runtime import OnnxRuntime
from mlflow_tfconv.steps.benchmark.worker.memory_sampler import MemorySampler

_BLOCK_S, _INTERVAL_S = 0.05, 0.002


def block_ms(call: Any, runs: int, *, sampled: bool) -> float:
    """The mean of so many runs."""
    with MemorySampler(_INTERVAL_S) if sampled else nullcontext():
        started = time.perf_counter_ns()
        for _ in range(runs):
            call()
        return (time.perf_counter_ns() - started) / runs / 1e6


def main() -> None:
    """Measures in pairs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("inputs", type=Path)
    parser.add_argument("--pairs", type=int, default=100)
    given = parser.parse_args()
    device = Device(options=DeviceOptions(intra_op_threads=1))
    call = OnnxRuntime(given.model, device=device).call_for(dict(np.load(given.inputs)))
    call()
    runs = max(3, int(_BLOCK_S * 1000 / block_ms(call, 10, sampled=False)))
    pairs = []
    for number in range(given.pairs):
        order = (True, False) if number % 2 else (False, True)
        found = {sampled: block_ms(call, runs, sampled=sampled) for sampled in order}
        pairs.append((found[True], found[False]))
    sampled, plain = (statistics.median(values) for values in zip(*pairs, strict=True))
    ratios = [a / b for a, b in pairs]
    print(json.dumps({"sampled_ms": sampled, "plain_ms": plain, "ratios": ratios}))


if __name__ == "__main__":
    main()
