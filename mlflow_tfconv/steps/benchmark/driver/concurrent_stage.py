"""The stage `concurrent`: several streams at a time on one device."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlflow_tfconv.artifacts import Variant
from mlflow_tfconv.device import Device
from mlflow_tfconv.steps.benchmark.config import BenchmarkConfig
from mlflow_tfconv.steps.benchmark.driver.scenario_doubts import unstable_notes
from mlflow_tfconv.steps.benchmark.driver.scenario_limits import within_limit
from mlflow_tfconv.steps.benchmark.driver.stage import Answer, Findings, Request, Stage


def concurrent_findings(answer: Answer, _folder: Path) -> Findings:
    """Of each number of streams the throughput of the better way; both ways are in the details."""
    rows = answer["rows"]
    metrics: dict[str, float] = {}
    for row in rows:
        name = f"concurrent/samples_per_s_x{row['count']}"
        metrics[name] = max(metrics.get(name, 0.0), row["samples_per_s"])
    notes = [f"streams were left out: {why}" for why in _by_reason(answer["left_out"])]
    conditions = [row["conditions"] for row in rows]
    notes += unstable_notes("the throughput of several streams", conditions)
    return Findings(metrics=metrics, notes=tuple(notes), details=answer)


def _by_reason(left_out: Sequence[str]) -> list[str]:
    """Those of one reason in one: "x1 own_sessions, x2 own_sessions: why"."""
    found: dict[str, list[str]] = {}
    for text in left_out:
        which, _, why = text.partition(": ")
        found.setdefault(why, []).append(which)
    return [f"{', '.join(which)}: {why}" for why, which in found.items()]


def _applies(config: BenchmarkConfig, _variant: Variant, _device: Device) -> bool:
    return "concurrent" in config.scenarios


def _request(config: BenchmarkConfig, _reference: Mapping[str, float]) -> Request:
    return Request(command="concurrent", arguments=within_limit(config.concurrent, config))


CONCURRENT = Stage(
    name="concurrent",
    when="timed",
    applies=_applies,
    ask=_request,
    read=concurrent_findings,
    depends=lambda config: dataclasses.asdict(config.concurrent),
)
