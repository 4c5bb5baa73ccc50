"""Offline: all samples are there at once; which batch size gets most of them done?

After MLPerf's offline scenario: throughput is all that counts. LoadGen hands over one query with
all samples and leaves the batches to the system; here the system is the runtime, so the batch size
is looked for: doubled until the gain is small. Each size is timed in turn with the one before
it, so that a machine that slows down meanwhile does not look like a size that no longer pays.
"""

from __future__ import annotations

import itertools
import time
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlflow_tfconv.engine.guarded import free_memory_mb
from mlflow_tfconv.steps.benchmark.scenario_options import OfflineOptions
from mlflow_tfconv.steps.benchmark.worker.host_memory import host_peak_bytes
from mlflow_tfconv.steps.benchmark.worker.machine_state import MachineWatch
from mlflow_tfconv.steps.benchmark.worker.out_of_memory import is_out_of_memory
from mlflow_tfconv.steps.benchmark.worker.scenario_batches import (
    Call,
    batches_of_size,
    bytes_of,
    calls_of,
)

if TYPE_CHECKING:  # the opened model knows all commands
    from mlflow_tfconv.steps.benchmark.worker.opened_model import OpenedModel

_TURNS = 3
_OF_WHAT_IS_FREE = 0.8
_WARM_RUNS = 2


def offline(opened: OpenedModel, **arguments: Any) -> dict[str, Any]:
    """Times batch sizes one after the other.

    Args:
        opened: The model.
        **arguments: Fields of OfflineOptions.

    Returns:
        `sizes`: of each its `batch_size`, `samples_per_s`, `p50_ms`, `count`, `gain` (over the size
        before it, timed in turn) and `file` (int64 nanoseconds, one a call);
        `best_batch`: the smallest within `min_gain` of the highest throughput;
        `ended`: why there are no more sizes, `cut_short`: whether larger ones might be better;
        `conditions`: what else happened on the machine.
    """
    sweep = _Sweep(opened, OfflineOptions(**arguments))
    cut = sweep.run()
    ended = {"ended": cut or sweep.ended(), "cut_short": cut is not None}
    return {**sweep.result(), **ended}


def best_batch(samples_per_s: Mapping[int, float], min_gain: float) -> int:
    """The smallest size whose throughput is within this share of the highest."""
    highest = max(samples_per_s.values())
    return min(s for s, found in samples_per_s.items() if found * (1 + min_gain) >= highest)


class _Sweep:
    """Batch sizes with their timings."""

    def __init__(self, opened: OpenedModel, options: OfflineOptions) -> None:
        self._opened, self._options = opened, options
        self._started = time.perf_counter()
        self._samples: dict[int, array[int]] = {}
        self._gains: dict[int, float] = {}
        self._watch = MachineWatch()
        self._peaks: list[tuple[int, int]] = [(0, host_peak_bytes() or 0)]  # batch size, bytes

    def run(self) -> str | None:
        """Times size after size; says what kept it from going on, if anything did."""
        before: list[Call] = []
        last: int | None = None
        for size in self._sizes():
            if last is not None and (why := self._unaffordable(size, last)):
                return why
            try:
                calls = self._warm(size)
                self._time_in_turn({last: before, size: calls} if last else {size: calls})
            except Exception as error:
                if last is None:
                    raise
                self._samples.pop(size, None)
                return _failed(size, error)
            if self._doubles and self._gains[size] < self._options.min_gain and last is not None:
                return None
            before, last = calls, size
        if self._doubles and len(self._gains) > 1:
            gain, largest = self._gains[max(self._gains)], self._options.largest_batch
            return f"batch {last} still gained {gain:.0%}; offline.largest_batch is {largest}"
        return None

    def ended(self) -> str:
        """Why a sweep that nothing has cut short is over."""
        size, gain = list(self._gains.items())[-1]
        if self._doubles and gain < self._options.min_gain and len(self._gains) > 1:
            return f"batch {size} gained less than {self._options.min_gain:.0%}"
        return "all sizes were timed"

    @property
    def _doubles(self) -> bool:
        return not self._options.batch_sizes and self._opened.fixed_batch() is None

    def result(self) -> dict[str, Any]:
        """All sizes, and the best."""
        rows = [self._row(size) for size in self._samples]
        rates = {row["batch_size"]: row["samples_per_s"] for row in rows}
        best = best_batch(rates, self._options.min_gain)
        return {"sizes": rows, "best_batch": best, "conditions": self._watch.so_far()}

    def _sizes(self) -> Iterator[int]:
        fixed = self._opened.fixed_batch()
        if fixed is not None:
            return iter([fixed])
        doubled = itertools.takewhile(
            lambda size: size <= self._options.largest_batch, (2**n for n in itertools.count())
        )
        return iter(self._options.batch_sizes) if self._options.batch_sizes else doubled

    def _warm(self, size: int) -> list[Call]:
        calls = calls_of(self._opened.runtime, batches_of_size(self._opened, size))
        for call in itertools.islice(itertools.cycle(calls), _WARM_RUNS):
            call()
        self._peaks.append((size, host_peak_bytes() or 0))
        return calls

    def _time_in_turn(self, calls: dict[int, list[Call]]) -> None:
        medians: dict[int, list[float]] = {size: [] for size in calls}  # one a turn
        for _ in range(_TURNS):
            for size, of_size in calls.items():
                samples = _block(of_size, self._options)
                self._samples.setdefault(size, array("q")).extend(samples)
                medians[size].append(float(np.median(samples)))
        self._gains.setdefault(next(iter(calls)), 0.0)  # the first size
        if len(calls) > 1:
            (small, of_small), (large, of_large) = medians.items()
            ratios = np.divide(of_small, of_large) * (large / small)
            self._gains[large] = float(np.median(ratios)) - 1  # a disturbed turn decides nothing

    def _unaffordable(self, size: int, last: int) -> str | None:
        """Why this size is not tried, or None."""
        if why := self._too_large(size, last):
            return why
        run_s = self._expected_s(size, last)
        block_s = max(self._options.min_time_s / _TURNS, self._options.min_count * run_s / _TURNS)
        needed_s = 2 * _TURNS * block_s + _WARM_RUNS * run_s
        spent_s = time.perf_counter() - self._started
        if spent_s + needed_s > self._options.time_limit_s:
            return (
                f"batch {size} would have taken {needed_s:.2g} s more, beyond offline.time_limit_s"
                f" ({self._options.time_limit_s:.3g} s), which `minutes` may shorten"
            )
        return None

    def _expected_s(self, size: int, last: int) -> float:
        """What a call of this size takes, on the line through the last two."""
        times = {n: float(np.median(samples)) / 1e9 for n, samples in self._samples.items()}
        before = [n for n in times if n < last]
        if not before:
            return times[last] * size / last
        of_each = (times[last] - times[before[-1]]) / (last - before[-1])
        return times[last] + max(of_each, 0.0) * (size - last)

    def _too_large(self, size: int, last: int) -> str | None:
        if self._peaks[-1][1] == 0:
            return None  # nobody can tell
        needed = self._growth_bytes(size, last) / 1e6
        limit, held = self._options.memory_limit_mb, self._peaks[-1][1] / 1e6
        if limit is None and needed > _OF_WHAT_IS_FREE * free_memory_mb():
            return f"batch {size} would take about {needed:,.0f} MB more than batch {last}"
        if limit is not None and self._opened.job.device == "cpu" and held + needed > limit:
            return (
                f"batch {size} would take about {held + needed:,.0f} MB, beyond "
                f"offline.memory_limit_mb ({limit:g})"
            )
        return None

    def _growth_bytes(self, size: int, last: int) -> float:
        """What a larger batch takes more, as the peak grew from size to size until now."""
        (first, low), (_, high) = self._peaks[0], self._peaks[-1]
        if len(self._peaks) > 2:
            first, low = self._peaks[-2]
        grown = (high - low) / (last - first) * (size - last)
        smallest = min(self._opened.batch_sizes)
        example = bytes_of(self._opened.examples(smallest)[0]) / smallest
        return float(max(grown, 2 * example * size))

    def _row(self, size: int) -> dict[str, Any]:
        samples = np.array(self._samples[size], np.int64)
        file = f"offline_b{size}.npy"
        np.save(self._opened.folder / file, samples)
        return {
            "batch_size": size,
            "count": len(samples),
            "samples_per_s": size * len(samples) / (float(samples.sum()) / 1e9),
            "p50_ms": float(np.median(samples)) / 1e6,
            "gain": self._gains[size] if size != next(iter(self._gains)) else None,
            "file": file,
        }


def _block(calls: Sequence[Call], options: OfflineOptions) -> array[int]:
    clock, samples = time.perf_counter_ns, array("q")
    end, fewest = clock() + int(options.min_time_s / _TURNS * 1e9), options.min_count / _TURNS
    for call in itertools.cycle(calls):
        start = clock()
        call()
        stop = clock()
        samples.append(stop - start)
        if stop >= end and len(samples) >= fewest:
            break
    return samples


def _failed(size: int, error: Exception) -> str:
    if is_out_of_memory(error):
        return f"batch {size} did not fit into the memory"
    words = " ".join(f"{type(error).__name__}: {error}".split())
    return f"batch {size} failed: {words[:300]}"
