"""Trains a small model on the stream of one pipeline; says what it took, and how long it waited.

python tests/benchmarks/reading_training.py block images64 FOLDER

Steps from the stream, from a stream that repeats one batch in memory, and on one batch that is there
already are timed in turn: what the stream costs is the difference, what the model waits for is the
time until the next batch is there. What that takes for the batch in memory is TensorFlow's own.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from reading_data import CLASSES, CONTESTANTS, KINDS, Kind
from reading_pipelines import PIPELINES

_PART = 50  # steps that are timed together
_WARM_UP = 20
_READY = 8  # batches


def small_model(kind: Kind) -> keras.Model:
    """A CNN for images, a perceptron for rows, averaged embeddings for sequences."""
    layers = keras.layers
    model = keras.Sequential([keras.Input(kind.shape, dtype=kind.dtype)])
    if kind.is_image:
        model.add(layers.Rescaling(1 / 255))
        for filters in (16, 32):
            model.add(layers.Conv2D(filters, 3, strides=2, activation="relu"))
        model.add(layers.GlobalAveragePooling2D())
    elif None in kind.shape:
        model.add(layers.Embedding(20_000, 32))
        model.add(layers.GlobalAveragePooling1D())
    for units in (256, 128):
        model.add(layers.Dense(units, activation="relu"))
    model.add(layers.Dense(CLASSES))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    return model


class Timed:
    """Training steps, timed in parts of fifty.

    Attributes:
        wait_s: Until the next batch was there.
        least_wait_s: The same for a stream of one batch in memory.
        memory_s: Of all steps on that stream.
        stream_s: Of all steps on the stream, waiting included.
        still_s: Of as many steps on one batch.
        steps: Steps on the stream.
    """

    def __init__(self, model: keras.Model, dataset: Any) -> None:
        self._step = tf.function(_train_step(model), reduce_retracing=True)
        # One stream over all passes, as the package's own training has it.
        self._batches = iter(dataset.repeat().prefetch(_READY))
        self._still = next(self._batches)
        self._memory = iter(tf.data.Dataset.from_tensors(self._still).repeat().prefetch(_READY))
        self.wait_s = self.least_wait_s = self.stream_s = self.memory_s = self.still_s = 0.0
        self.steps = 0
        for _ in range(_WARM_UP):
            self._step(*next(self._batches))

    def run(self, steps: int) -> None:
        """So many steps of each."""
        for _ in range(max(steps // _PART, 1)):
            took, waited = self._timed_waiting(self._batches)
            self.stream_s, self.wait_s = self.stream_s + took, self.wait_s + waited
            took, waited = self._timed_waiting(self._memory)
            self.memory_s, self.least_wait_s = self.memory_s + took, self.least_wait_s + waited
            self.still_s += self._timed(lambda: self._still)
            self.steps += _PART

    def _timed(self, batch: Callable[[], Any]) -> float:
        began, loss = time.perf_counter(), None
        for _ in range(_PART):
            loss = self._step(*batch())
        float(loss)  # waits for the last step
        return time.perf_counter() - began

    def _timed_waiting(self, batches: Iterator[Any]) -> tuple[float, float]:
        """Seconds of some steps, and those of them until the next batch was there."""
        waited = 0.0

        def batch() -> Any:
            nonlocal waited
            began = time.perf_counter()
            found = next(batches)
            waited += time.perf_counter() - began
            return found

        took = self._timed(batch)
        return took, waited


def _train_step(model: keras.Model) -> Callable[[Any, Any], Any]:
    model.optimizer.build(model.trainable_variables)

    def step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = model.compute_loss(x, y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        model.optimizer.apply(gradients, model.trainable_variables)
        return loss

    return step


def peak_mb() -> float:
    """The most memory this process ever had, in MB (10^6 bytes)."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024 / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contestant", choices=CONTESTANTS)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=0, help="timed steps; 0: one epoch with fit")
    asked = parser.parse_args()
    kind = KINDS[asked.kind]
    dataset = PIPELINES[asked.contestant](asked.folder, kind, asked.batch)
    model, told = small_model(kind), {}
    if asked.steps:
        timed = Timed(model, dataset)
        timed.run(asked.steps)
        told = {
            "waiting": timed.wait_s / timed.stream_s,
            "least_waiting": timed.least_wait_s / timed.memory_s,
            "slower": timed.stream_s / timed.still_s,
            "examples_per_s": timed.steps * asked.batch / timed.stream_s,
        }
    else:
        model.fit(dataset, epochs=1, verbose=0)
    print(json.dumps({**told, "peak_mb": peak_mb()}))


if __name__ == "__main__":
    main()
