"""The stage `bound`: latency with inputs and outputs that are on the device already."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mlflow_tfconv.artifacts import Variant
from mlflow_tfconv.device import Device
from mlflow_tfconv.steps.benchmark.config import BenchmarkConfig
from mlflow_tfconv.steps.benchmark.driver.stage import Answer, Findings, Request, Stage
from mlflow_tfconv.steps.benchmark.statistics.latency import quantile_findings

_LIMITS = ("min_time_s", "min_count", "warmup_time_s", "warmup_limit_s")
_SECONDS_A_MINUTE = 60
_LEAST_S = 0.05
_MEDIAN = "latency/p50_"


def bound_findings(answer: Answer, folder: Path) -> Findings:
    """The median is a metric beside the one with copies; the other percentiles are details."""
    batches = answer["batches"]
    if answer.get("skipped"):
        note = f"was not timed with inputs bound on the device: {answer['skipped']}"
        return Findings(notes=(note,), details=answer)
    found = [_of_size(batch, folder) for batch in batches]
    metrics = {name: value for one in found for name, value in one.metrics.items()}
    intervals = {name: pair for one in found for name, pair in one.intervals.items()}
    return Findings(
        metrics={name: value for name, value in metrics.items() if name.startswith(_MEDIAN)},
        intervals={name: pair for name, pair in intervals.items() if name.startswith(_MEDIAN)},
        details={**answer, "percentiles": metrics},
    )


def _of_size(batch: Mapping[str, int | str], folder: Path) -> Findings:
    size = batch["batch_size"]
    template = "latency/p{q}_ms_bound" + ("" if size == 1 else f"_b{size}")
    found = quantile_findings([np.load(folder / str(batch["file"]))], template)
    return Findings(metrics=found.metrics, intervals=found.intervals)


def _applies(config: BenchmarkConfig, _variant: Variant, device: Device) -> bool:
    return device.kind != "cpu" if config.io_binding is None else config.io_binding


def _request(config: BenchmarkConfig, _reference: Mapping[str, float]) -> Request:
    """As long as single stream; within a budget of minutes a twentieth of it for each size."""
    limits = {name: getattr(config, name) for name in _LIMITS}
    if config.minutes is not None:
        share = config.minutes * _SECONDS_A_MINUTE / 20 / len(config.batch_sizes)
        limits["min_time_s"] = min(limits["min_time_s"], max(share, _LEAST_S))
    return Request(command="bound", arguments=limits)


BOUND = Stage(
    name="bound",
    when="timed",
    applies=_applies,
    ask=_request,
    read=bound_findings,
    depends=lambda config: [config.io_binding, *(getattr(config, name) for name in _LIMITS)],
)
