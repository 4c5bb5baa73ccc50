"""Whether the metrics that a recipe names can exist: told before anything is trained."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from mlflow_tfconv.config.template import Location, dotted, suggestion
from mlflow_tfconv.engine.step import MetricSpec, Step
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.benchmark.config import BenchmarkConfig
from mlflow_tfconv.steps.register.config import RegisterConfig

if TYPE_CHECKING:  # recipe_config imports this file
    from mlflow_tfconv.config.recipe_config import RecipeConfig

#: The metrics of steps/benchmark/statistics/quality.py, whose import takes longer than reading a recipe.
BUILT_IN = ("accuracy", "top5", "f1", "mae", "mse", "rmse", "r2")
#: What is measured when nothing is asked for: of classes the first and third, of numbers the others.
_BY_DEFAULT = ("accuracy", "mae", "top5", "rmse")
_ALWAYS = (
    "quality/agreement",
    *(f"startup/{kind}_ms" for kind in ("load", "optimization", "first_run")),
    *(f"footprint/{kind}_mb" for kind in ("size", "compressed", "weights", "gpu_peak")),
    *("footprint/host_peak_mb", "footprint/host_peak_above_baseline_mb"),
    *("footprint/host_resident_mb", "footprint/activations_mb"),
    *("footprint/gpu_reserved_mb", "footprint/gpu_in_use_mb"),
    *("energy/j_per_1000", "sparsity", "parity/max_abs_error"),
)

#: What is measured only where it is asked for, and how.
_ON_REQUEST = (
    (r"footprint/largest_batch", "benchmark.memory: {budget_mb: 4000}"),
    (r"footprint/estimated_peak_mb", "benchmark.memory: {estimate: true}"),
    (r"placement/(node_share|time_share|copies)", "benchmark.profile: true"),
    (r"latency/p(50|90|95|99)_ms", "benchmark: {scenarios: [single_stream], batch_sizes: [1]}"),
    (r"throughput/(samples_per_s|best_batch)", "benchmark.scenarios: [offline]"),
    (r"server/(max_rate_per_s|p99_ms)", "benchmark.scenarios: [server]"),
    (r"concurrent/samples_per_s_x[124]", "benchmark.scenarios: [concurrent]"),
)

Place = Callable[[Location], str]


def checked_metrics(config: RecipeConfig, place: Place, *, primary_is_given: bool) -> RecipeConfig:
    """The recipe with a primary metric that is measured.

    Raises:
        ConfigError: A metric is not known, stands twice, or the primary one is not measured.
    """
    for position, metric in enumerate(config.metrics):
        at: Location = ("metrics", position)
        if metric.name in [earlier.name for earlier in config.metrics[:position]]:
            raise _error(at, place, "is there already.", metric.name)
        _check_metric(metric, at, place)
    names = [metric.name for metric in config.metrics] or [*_BY_DEFAULT]
    if config.primary_metric in names:
        return config
    if not primary_is_given:
        return dataclasses.replace(config, primary_metric=names[0])
    raise ConfigError(
        f"{place(('primary_metric',))}: primary_metric names a metric that is not measured.",
        received=config.primary_metric,
        expected=f"one of {', '.join(names)}",
        fix=suggestion(config.primary_metric, names)
        or f"Add it: `metrics: [{{name: {config.primary_metric}}}]`.",
    )


def _check_metric(metric: MetricSpec, at: Location, place: Place) -> None:
    if metric.function is not None and metric.greater_is_better is None:
        raise _error(
            at,
            place,
            "does not say whether more of it is better.",
            metric.name,
            expected="greater_is_better: true, or false",
        )
    if metric.function is None and metric.name not in BUILT_IN:
        raise _error(
            (*at, "name"),
            place,
            "is no built-in metric.",
            metric.name,
            expected=f"one of {', '.join(BUILT_IN)}, or a `function` of steps/evaluate.py",
            fix=suggestion(metric.name, BUILT_IN)
            or f"Write a function in steps/evaluate.py: {{name: {metric.name}, function: ...}}.",
        )


def check_gate(config: RecipeConfig, steps: Iterable[Step[Any]], place: Place) -> None:
    """Checks that the gate asks for metrics that the benchmark can give.

    Steps of the user's own measure and ask for what they like.

    Raises:
        ConfigError: A criterion or `choose` names a metric that can't come to be.
    """
    configs = {step.name: step.config for step in steps}
    benchmark, register = configs.get("benchmark"), configs.get("register")
    if not isinstance(benchmark, BenchmarkConfig) or not isinstance(register, RegisterConfig):
        return
    known = [*_measured(config.metrics, benchmark)]
    asked: list[tuple[Location, str]] = [
        (("steps", "register", "validation_criteria", n, "metric"), criterion.metric)
        for n, criterion in enumerate(register.validation_criteria)
    ]
    for at, name in (*asked, (("steps", "register", "choose"), register.choose)):
        if name not in known:
            raise _error(
                at,
                place,
                "names a metric that is never measured.",
                name,
                expected=f"one of {', '.join(known)}",
                fix=_how_to_measure(name)
                or suggestion(name, known)
                or "Name one of these, or measure it: `metrics`.",
            )


def _measured(metrics: Iterable[MetricSpec], benchmark: BenchmarkConfig) -> Iterator[str]:
    for name in [metric.name for metric in metrics] or _BY_DEFAULT:
        yield from (f"quality/{name}", f"quality/{name}_drop")
    yield from _of_scenarios(benchmark)
    if benchmark.memory.estimate:
        yield "footprint/estimated_peak_mb"
    if benchmark.memory.budget_mb is not None:
        yield "footprint/largest_batch"
    if benchmark.profile:
        yield from (f"placement/{kind}" for kind in ("node_share", "time_share", "copies"))
    yield from _ALWAYS


def _of_scenarios(benchmark: BenchmarkConfig) -> Iterator[str]:
    if {"single_stream", "offline"} & {*benchmark.scenarios}:
        yield from ("throughput/samples_per_s", "throughput/best_batch")
    if "single_stream" in benchmark.scenarios:
        yield from _of_single_stream(benchmark)
    if "offline" in benchmark.scenarios:
        yield from (
            f"throughput/samples_per_s_b{size}" for size in benchmark.offline.batch_sizes or (1,)
        )
    if "server" in benchmark.scenarios:
        yield from ("server/max_rate_per_s", "server/p99_ms")
    if "concurrent" in benchmark.scenarios:
        yield from (f"concurrent/samples_per_s_x{n}" for n in benchmark.concurrent.counts)


def _of_single_stream(benchmark: BenchmarkConfig) -> Iterator[str]:
    for size in benchmark.batch_sizes:
        for quantile in (50, 90, 95, 99):
            yield f"latency/p{quantile}_ms" + (f"_b{size}" if size > 1 else "")
        yield "latency/p50_ms_bound" + (f"_b{size}" if size > 1 else "")
        yield f"throughput/samples_per_s_b{size}"


def _how_to_measure(name: str) -> str | None:
    """What to ask of the benchmark, for a metric that it gives only then."""
    return next(
        (f"Measure it: `{ask}`." for form, ask in _ON_REQUEST if re.fullmatch(form, name)), None
    )


def _error(at: Location, place: Place, what: str, received: str, **parts: Any) -> ConfigError:
    return ConfigError(f"{place(at)}: {dotted(at)} {what}", received=received, **parts)
