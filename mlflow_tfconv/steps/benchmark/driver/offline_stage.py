"""The stage `offline`: which batch size gets most samples done."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from mlflow_tfconv.artifacts import Variant
from mlflow_tfconv.device import Device
from mlflow_tfconv.steps.benchmark.config import BenchmarkConfig
from mlflow_tfconv.steps.benchmark.driver.scenario_doubts import unstable_notes
from mlflow_tfconv.steps.benchmark.driver.scenario_limits import within_limit
from mlflow_tfconv.steps.benchmark.driver.stage import Answer, Findings, Request, Stage

_RATE, _BEST = "throughput/samples_per_s", "throughput/best_batch"
_OF_SIZE = f"{_RATE}_b"
_CLEARLY = 0.05


def offline_findings(answer: Answer, _folder: Path) -> Findings:
    """Throughput of every size, the best size, and why the sweep ended where it did."""
    sizes = answer["sizes"]
    metrics = {
        f"throughput/samples_per_s_b{row['batch_size']}": row["samples_per_s"] for row in sizes
    }
    notes = []
    if answer["cut_short"]:
        notes.append(f"larger batches may be better: {answer['ended']}")
    notes += unstable_notes("the best batch size", [answer["conditions"]])
    best = max(metrics.values())
    return Findings(
        metrics={
            **metrics,
            _RATE: best,
            _BEST: float(answer["best_batch"]),
        },
        notes=tuple(notes),
        details=answer,
    )


def rates_of_both(timed: Findings, others: Findings) -> Findings:
    """What was timed in turns and what the sweep found, in one.

    Sizes that were timed in turns keep those rates, which have intervals; the best rate is that of
    all sizes.
    """
    metrics = {**timed.metrics, **others.metrics}
    metrics.update({name: v for name, v in timed.metrics.items() if name.startswith(_OF_SIZE)})
    rates = {n.removeprefix(_OF_SIZE): v for n, v in metrics.items() if n.startswith(_OF_SIZE)}
    if rates:
        metrics[_RATE] = max(rates.values())
        metrics[_BEST] = _best_batch(rates, metrics.get(_BEST))
    sound = {n: pair for n, pair in timed.intervals.items() if metrics[n] == timed.metrics[n]}
    return Findings(metrics=metrics, intervals={**sound, **others.intervals})


def _best_batch(rates: Mapping[str, float], told: float | None) -> float:
    """The sweep's best size, unless one that it did not time is clearly better."""
    fastest = max(rates, key=lambda size: rates[size])
    known = 0.0 if told is None else rates.get(f"{told:.0f}", 0.0)
    clearly = rates[fastest] > known * (1 + _CLEARLY)
    return float(fastest) if told is None or clearly else told


def _applies(config: BenchmarkConfig, _variant: Variant, _device: Device) -> bool:
    return "offline" in config.scenarios


def _request(config: BenchmarkConfig, _reference: Mapping[str, float]) -> Request:
    return Request(command="offline", arguments=within_limit(config.offline, config))


OFFLINE = Stage(
    name="offline",
    when="timed",
    applies=_applies,
    ask=_request,
    read=offline_findings,
    depends=lambda config: dataclasses.asdict(config.offline),
)
