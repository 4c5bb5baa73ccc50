"""A plain loop over `session.run`, in a fresh process: `python plain_loop.py MODEL INPUTS RUNS...`.

INPUTS is an .npz file with an array for each input; each RUNS is a number of runs, one after the
other, and without any the numbers are read from standard input, a line each. `--threads` is ONNX
Runtime's intra_op_num_threads. For each number a line of JSON is printed: median and mean of the raw
timings, the mean by the clock around all runs, and the peak of memory before the model was loaded and
now.

Written as onnxruntime_perf_test works: inputs prepared before, one session, runs one after the other,
a clock around each run and one around all. Of this repository nothing is imported.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime


def opened(model: str, threads: int) -> onnxruntime.InferenceSession:
    """The session, on so many threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def measured(
    session: onnxruntime.InferenceSession, feed: dict[str, np.ndarray], runs: int
) -> dict[str, float]:
    """Milliseconds of so many runs."""
    samples = np.zeros(runs, np.int64)
    names = [output.name for output in session.get_outputs()]
    begun = time.perf_counter_ns()
    for number in range(runs):
        start = time.perf_counter_ns()
        session.run(names, feed)
        samples[number] = time.perf_counter_ns() - start
    whole_ns = time.perf_counter_ns() - begun
    return {
        "p50_ms": float(np.median(samples)) / 1e6,
        "mean_ms": float(np.mean(samples)) / 1e6,
        "whole_mean_ms": whole_ns / runs / 1e6,
    }


def peak_mb() -> float:
    """The most resident memory so far, as the kernel counts it (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6


def main() -> None:
    """Runs the model as often as is asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("inputs")
    parser.add_argument("runs", nargs="*")
    parser.add_argument("--threads", type=int, default=0)
    given = parser.parse_args()
    feed, before = dict(np.load(given.inputs)), peak_mb()
    session = opened(given.model, given.threads)
    for runs in given.runs or sys.stdin:
        found = measured(session, feed, int(runs))
        print(json.dumps({**found, "before_mb": before, "peak_mb": peak_mb()}), flush=True)


if __name__ == "__main__":
    main()
