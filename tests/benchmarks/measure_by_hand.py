"""Measures one model file in this fresh process: `python measure_by_hand.py MODEL EXAMPLES OUTPUT`.

EXAMPLES is an .npy file of images; OUTPUT gets the outputs for all of them (.npy) and, beside it,
the measurements (.json).
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

BATCH_SIZES = (1, 32)
MIN_TIME_S, MIN_COUNT = 0.5, 20
WARMUP_TIME_S, WARMUP_LIMIT_S, BLOCK_S = 0.1, 2.0, 0.05

Array = np.ndarray[Any, Any]
Predict = Callable[[Array], Array]


def opened(path: Path) -> Predict:
    """What predicts a batch with a model file."""
    if path.suffix == ".onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return lambda images: session.run(None, {name: images})[0]
    import tensorflow as tf

    if path.suffix == ".keras":
        import keras

        model = keras.saving.load_model(path, compile=False)
        call = tf.function(lambda images: model(images, training=False), reduce_retracing=True)
        return lambda images: call(tf.convert_to_tensor(images)).numpy()
    loaded = tf.saved_model.load(str(path))

    def serve(images: Array) -> Array:
        # `loaded` holds the variables: without it they would be gone.
        outputs = loaded.signatures["serving_default"](image=tf.convert_to_tensor(images))
        return outputs["digit"].numpy()

    return serve


def timings_ns(predict: Predict, batches: list[Array], time_s: float, count: int) -> Array:
    """Raw timings of the batches in turn, until both minimum time and minimum count are met."""
    samples, end = [], time.perf_counter_ns() + time_s * 1e9
    for batch in itertools.cycle(batches):
        start = time.perf_counter_ns()
        predict(batch)
        stop = time.perf_counter_ns()
        samples.append(stop - start)
        if stop >= end and len(samples) >= count:
            return np.array(samples)
    raise AssertionError("the cycle has no end")


def warm_up(predict: Predict, batches: list[Array]) -> None:
    """Runs until a short block of runs is no longer faster than those before it."""
    started, fastest = time.perf_counter(), np.inf
    while (elapsed := time.perf_counter() - started) < WARMUP_LIMIT_S:
        median = float(np.median(timings_ns(predict, batches, BLOCK_S, 2)))
        if elapsed >= WARMUP_TIME_S and median >= 0.95 * fastest:
            return
        fastest = min(fastest, median)


def host_peak_mb() -> float:
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6


def measured(predict: Predict, images: Array) -> dict[str, float]:
    batches = {
        n: [np.resize(images[i * n :], (n, *images.shape[1:])) for i in range(5)]
        for n in BATCH_SIZES
    }
    for few in batches.values():
        for batch in few[:3]:
            predict(batch)
    metrics = {"footprint/host_peak_mb": host_peak_mb()}
    for n, few in batches.items():
        warm_up(predict, few)
        samples = timings_ns(predict, few, MIN_TIME_S, MIN_COUNT)
        suffix = "" if n == 1 else f"_b{n}"
        for q in (50, 90, 99):
            metrics[f"latency/p{q}_ms{suffix}"] = float(np.percentile(samples, q)) / 1e6
        metrics[f"throughput/samples_per_s_b{n}"] = n * len(samples) / (samples.sum() / 1e9)
    return metrics


def main(model: Path, examples: Path, output: Path) -> None:
    images = np.load(examples)
    predict = opened(model)
    metrics = measured(predict, images)
    largest = max(BATCH_SIZES)
    parts = [predict(images[start : start + largest]) for start in range(0, len(images), largest)]
    np.save(output, np.concatenate(parts))
    output.with_suffix(".json").write_text(json.dumps(metrics))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
