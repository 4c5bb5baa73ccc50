"""Latency and throughput of raw timings, with intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mlflow_tfconv.steps.benchmark.statistics.blocks import Blocks, all_samples, pieces
from mlflow_tfconv.steps.benchmark.statistics.bootstrap import mean_interval, quantile_intervals
from mlflow_tfconv.steps.benchmark.statistics.findings import Found, together

#: Percentile to the fewest runs that say something of it: one of them lies beyond it.
FEWEST_RUNS = {50: 1, 90: 10, 95: 20, 99: 100}
_BEST = "throughput/samples_per_s"


def supported_quantiles(count: int) -> tuple[int, ...]:
    """The percentiles that so many runs say something of."""
    return tuple(percent for percent, fewest in FEWEST_RUNS.items() if count >= fewest)


def latency_findings(blocks: Mapping[int, Blocks]) -> Found:
    """`latency/...` and `throughput/...` from batch size to timings.

    The plain names are batch 1 for latency, the best batch size for throughput.
    """
    timed = {size: turns for size, turns in blocks.items() if len(all_samples(turns))}
    latencies = [
        quantile_findings(turns, "latency/p{q}_ms" + ("" if size == 1 else f"_b{size}"))
        for size, turns in timed.items()
    ]
    rates = [
        rate_findings(turns, f"{_BEST}_b{size}", examples_a_run=size)
        for size, turns in timed.items()
    ]
    return together(*latencies, *rates, _best(together(*rates), timed))


def quantile_findings(blocks: Blocks, template: str) -> Found:
    """The percentiles that the number of runs supports, in milliseconds.

    Args:
        blocks: The timings.
        template: The metrics' name with the percentile left open: "latency/p{q}_ms_b32".
    """
    values = all_samples(blocks)
    percents = supported_quantiles(len(values))
    names = [template.format(q=percent) for percent in percents]
    points = np.percentile(values, percents) / 1e6 if percents else ()
    intervals = quantile_intervals(pieces(blocks), [percent / 100 for percent in percents])
    return Found(
        metrics=dict(zip(names, map(float, points), strict=True)),
        intervals={
            name: (low / 1e6, high / 1e6)
            for name, (low, high) in zip(names, intervals, strict=False)
        },
    )


def rate_findings(blocks: Blocks, name: str, *, examples_a_run: int) -> Found:
    """Examples per second, of the time that all runs took together; nothing without runs."""
    values = all_samples(blocks)
    if not len(values):
        return Found()
    a_second = examples_a_run * 1e9
    interval = mean_interval(pieces(blocks))
    return Found(
        metrics={name: a_second / max(float(values.mean()), 1.0)},
        intervals={}
        if interval is None
        else {name: (a_second / interval[1], a_second / interval[0])},
    )


def _best(rates: Found, sizes: Mapping[int, Blocks]) -> Found:
    if not sizes:
        return Found()
    best = max(sizes, key=lambda size: rates.metrics[f"{_BEST}_b{size}"])
    name = f"{_BEST}_b{best}"
    return Found(
        metrics={_BEST: rates.metrics[name], "throughput/best_batch": float(best)},
        intervals={_BEST: rates.intervals[name]} if name in rates.intervals else {},
    )
