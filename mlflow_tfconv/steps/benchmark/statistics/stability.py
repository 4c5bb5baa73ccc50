"""What raw timings say: quantiles where there are enough of them, and reasons for doubt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

Samples = np.ndarray[Any, np.dtype[np.int64]]
_SPREAD = 0.25  # of the median, for the middle half of the timings
_DRIFT = 0.10  # of the median, between the first and the second half of the run
_WANDERING = 0.10  # of the median, for the middle half of the medians of stretches of the run
_STRETCHES = 10
_FEWEST_OF_A_STRETCH = 5
_BUSY = 0.25  # processors
_FEWEST_FOR_P99 = 100


def latency_metrics(samples: Mapping[int, Samples]) -> dict[str, float]:
    """`latency/...` and `throughput/...` from batch size to nanoseconds, one a run.

    p99 needs 100 runs. The plain names are batch 1 for latency, the best batch size for throughput.
    """
    metrics: dict[str, float] = {}
    for size, values in samples.items():
        metrics.update(_quantiles(values, "" if size == 1 else f"_b{size}"))
        metrics[f"throughput/samples_per_s_b{size}"] = size * len(values) / (values.sum() / 1e9)
    throughputs = [value for name, value in metrics.items() if name.startswith("throughput/")]
    return {**metrics, "throughput/samples_per_s": max(throughputs)} if throughputs else metrics


def _quantiles(values: Samples, suffix: str) -> dict[str, float]:
    wanted = (50, 90, 99) if len(values) >= _FEWEST_FOR_P99 else (50, 90)
    return {f"latency/p{q}_ms{suffix}": float(np.percentile(values, q)) / 1e6 for q in wanted}


def doubt(values: Samples, batch: Mapping[str, Any], processors: int) -> str | None:
    """Why the timings of a batch size may be unstable, or None when they look sound.

    All signs are quartiles and medians: single runs that were interrupted are none.

    Args:
        values: The raw timings.
        batch: What the worker tells of them: steady, busy_others.
        processors: How many the machine has.
    """
    low, middle, high = np.percentile(values, (25, 50, 75))
    busy = batch.get("busy_others")
    signs = []
    # On an idle machine a wide spread around a median that stays is the model's own.
    if (high - low) / middle > _SPREAD and (busy is None or busy > _BUSY):
        signs.append(
            f"the middle half of the timings lies between {low / 1e6:.3g} and {high / 1e6:.3g} ms"
        )
    first, second = _medians(values, 2)
    if abs(first - second) / middle > _DRIFT:
        signs.append(f"they drifted by {abs(first - second) / middle:.0%}")
    medians = _medians(values, min(_STRETCHES, max(2, len(values) // _FEWEST_OF_A_STRETCH)))
    low, high = np.percentile(medians, (25, 75))
    if (high - low) / middle > _WANDERING:
        signs.append(f"their median wandered by {(high - low) / middle:.0%}")
    if not batch["steady"]:
        signs.append("they were still falling after the warm-up")
    return ", ".join([*signs, *_reasons(values, batch, processors)]) if signs else None


def _medians(values: Samples, stretches: int) -> list[float]:
    """The median of each of as many stretches of the run."""
    return [
        float(np.median(part if len(part) else values))
        for part in np.array_split(values, stretches)
    ]


def _reasons(values: Samples, batch: Mapping[str, Any], processors: int) -> list[str]:
    busy = batch.get("busy_others")
    reasons = []
    if busy is not None and busy > _BUSY:
        reasons.append(f"other processes used {busy:.1f} of {processors} processors")
    if len(values) < _FEWEST_FOR_P99:
        reasons.append(f"there were only {len(values)} runs")
    return reasons


def unstable_note(doubts: Mapping[int, str | None]) -> tuple[str, ...]:
    """One note for all batch sizes that are in doubt; none when all are sound."""
    said = [f"{why} (batch {size})" for size, why in doubts.items() if why]
    return (f"may be unstable, because {'; '.join(said)}",) if said else ()
