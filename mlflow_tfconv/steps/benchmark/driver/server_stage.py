"""The stage `server`: the highest rate of queries that keeps a bound on the latency."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from mlflow_tfconv.artifacts import Variant
from mlflow_tfconv.device import Device
from mlflow_tfconv.steps.benchmark.config import BenchmarkConfig
from mlflow_tfconv.steps.benchmark.driver.scenario_limits import within_limit
from mlflow_tfconv.steps.benchmark.driver.stage import Answer, Findings, Request, Stage
from mlflow_tfconv.steps.benchmark.worker.latency_bound import default_bound_ms


def server_findings(answer: Answer, _folder: Path) -> Findings:
    """The rate and the latency at it, under which bound; why there is none, or why to doubt it."""
    because = ", ".join(answer["doubts"])
    rate = answer["max_rate_per_s"]
    if rate is None:
        why = f"{answer['why']} ({because})" if because else answer["why"]
        return Findings(notes=(f"no rate of a server was found: {why}",), details=answer)
    notes = [
        f"the server's rate keeps {answer['bound_ms']:.4g} ms for {answer['quantile']:.4g} of the "
        f"queries, on {_counted(answer['threads'])} and batches of {answer['batch_size']}"
    ]
    if not answer["confirmed"]:
        notes.append(f"the server's rate was not confirmed: {answer['why']}")
    if because:
        notes.append(f"the server's rate may be too low, because {because}")
    if answer["own_bound"]:
        notes.append("that bound is its own: no batches of this size were timed of the reference")
    metrics = {"server/max_rate_per_s": rate}
    if answer["p99_ms"] is not None:
        metrics["server/p99_ms"] = answer["p99_ms"]
    return Findings(metrics=metrics, notes=tuple(notes), details=answer)


def bound_of_reference(reference: Mapping[str, float], batch_size: int) -> float | None:
    """The default bound in ms; None when the reference was not timed at this batch size."""
    suffix = "" if batch_size == 1 else f"_b{batch_size}"
    median = reference.get(f"latency/p50_ms{suffix}")
    if median is None:
        return None
    return default_bound_ms(median, reference.get(f"latency/p99_ms{suffix}"))


def _counted(threads: int) -> str:
    return "one thread" if threads == 1 else f"{threads} threads"


def _applies(config: BenchmarkConfig, _variant: Variant, _device: Device) -> bool:
    return "server" in config.scenarios


def _request(config: BenchmarkConfig, reference: Mapping[str, float]) -> Request:
    options = config.server
    if options.latency_bound_ms is None:
        bound = bound_of_reference(reference, options.batch_size)
        options = dataclasses.replace(options, latency_bound_ms=bound)
    return Request(command="server", arguments=within_limit(options, config))


SERVER = Stage(
    name="server",
    when="timed",
    applies=_applies,
    ask=_request,
    read=server_findings,
    depends=lambda config: dataclasses.asdict(config.server),
)
