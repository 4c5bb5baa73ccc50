"""Memory over time: a thread that looks every few milliseconds. Needs numpy only."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from mlflow_tfconv.steps.benchmark.worker.host_memory import page_bytes

#: The columns of a curve; what was not seen is NaN.
CURVE_COLUMNS = ("seconds", "host_mb", "host_anonymous_mb", "gpu_mb")
_STATM = "/proc/self/statm"
_LINE = 200  # bytes, more than seven numbers have
_MOST_POINTS = 100_000  # of which a curve consists: 3 MB


@dataclass(slots=True)
class MemorySampler:
    """Draws the curve of this process's memory while it is entered.

    A thread suffices: ONNX Runtime and TensorFlow let other threads run while they load and compute.
    It runs in the phases that measure memory and never while something is timed.

    Attributes:
        interval_s: Time between two looks. What a look costs is added to it; and it doubles when
            the curve gets too long, which keeps its highest points.
        gpu: Gives the bytes taken on the GPU, or None where they are not known.
        started: `time.perf_counter()` at 0 of the curve.
    """

    interval_s: float
    gpu: Callable[[], int | None] | None = None
    started: float = field(default_factory=time.perf_counter)
    _points: list[tuple[float, float, float, float]] = field(default_factory=list)
    _ended: bool = False
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._ended = False
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def curve(self) -> np.ndarray[Any, Any]:
        """(points, 4) float64 of CURVE_COLUMNS, in the order of time."""
        return np.array(self._points, dtype=np.float64).reshape(-1, len(CURVE_COLUMNS))

    def highest_bytes(self, since: int = 0) -> int | None:
        """The highest point of the host from the one of this number on; None without points."""
        points = self._points[since:]
        return int(max(point[1] for point in points) * 1e6) if points else None

    def now(self) -> float:
        """The second on the curve."""
        return time.perf_counter() - self.started

    def __len__(self) -> int:
        return len(self._points)

    def save(self, file: Path) -> None:
        """Writes the curve as npy."""
        np.save(file, self.curve())

    def _watch(self) -> None:
        try:
            statm = os.open(_STATM, os.O_RDONLY)
        except OSError:
            return
        page = page_bytes() / 1e6
        try:
            while not self._ended:
                _, resident, shared, *_ = map(int, os.pread(statm, _LINE, 0).split())
                taken = self.gpu() if self.gpu is not None else None
                host, own = resident * page, (resident - shared) * page
                gpu = math.nan if taken is None else taken / 1e6
                self._points.append((self.now(), host, own, gpu))
                if len(self._points) >= _MOST_POINTS:
                    self._thin_out()
                time.sleep(self.interval_s)  # cheaper than to wait for an event
        finally:
            os.close(statm)

    def _thin_out(self) -> None:
        pairs = zip(self._points[::2], self._points[1::2], strict=False)
        self._points = [max(pair, key=lambda point: point[1]) for pair in pairs]
        self.interval_s *= 2
