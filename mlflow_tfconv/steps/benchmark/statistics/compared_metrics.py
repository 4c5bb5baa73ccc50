"""All latencies and throughputs of a variant against the reference's, by their metric names."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from mlflow_tfconv.steps.benchmark.statistics.blocks import Blocks, all_samples
from mlflow_tfconv.steps.benchmark.statistics.equality import (
    Compared,
    compared_latency,
    compared_rate,
)
from mlflow_tfconv.steps.benchmark.statistics.latency import supported_quantiles

_RATE = "throughput/samples_per_s"


def compared_metrics(
    own: Mapping[int, Blocks], reference: Mapping[int, Blocks]
) -> dict[str, dict[str, Any]]:
    """Metric name to `ratio`, `low`, `high`, `verdict` and `basis`, as plain values.

    Metrics of which there are too few runs are left out.

    Args:
        own: Batch size to timings of a variant.
        reference: Those of the variant it is compared with.
    """
    found: dict[str, Compared] = {}
    for size in [size for size in own if size in reference]:
        suffix = "" if size == 1 else f"_b{size}"
        for percent in _supported(own[size], reference[size]):
            name = f"latency/p{percent}_ms{suffix}"
            found[name] = compared_latency(own[size], reference[size], quantile=percent)
        found[f"{_RATE}_b{size}"] = compared_rate(own[size], reference[size])
    sizes = _best(own), _best(reference)
    if sizes[0] is not None and sizes[1] is not None:
        found[_RATE] = compared_rate(
            own[sizes[0]], reference[sizes[1]], own_size=sizes[0], reference_size=sizes[1]
        )
    return {name: dataclasses.asdict(one) for name, one in found.items() if math.isfinite(one.high)}


def _supported(own: Blocks, reference: Blocks) -> tuple[int, ...]:
    return supported_quantiles(min(len(all_samples(own)), len(all_samples(reference))))


def _best(blocks: Mapping[int, Blocks]) -> int | None:
    """The batch size with the most examples per second."""
    rates = {
        size: size / max(float(values.mean()), 1.0)
        for size, turns in blocks.items()
        if len(values := all_samples(turns))
    }
    return max(rates, key=rates.__getitem__, default=None)
