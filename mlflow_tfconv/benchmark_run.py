"""What `tfconv benchmark` does: it measures, prints, writes, and judges the conditions."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from mlflow_tfconv.benchmark_flags import (
    CONDITION_MET,
    FINE,
    NOT_MEASURED,
    NOT_UNDERSTOOD,
    Outputs,
    arrays,
    named_models,
    say,
    settings_of,
)
from mlflow_tfconv.command_output import progress_shown
from mlflow_tfconv.device import DeviceOptions
from mlflow_tfconv.errors import BenchmarkError, ConfigError, TfconvError
from mlflow_tfconv.steps.benchmark.conditions.verdict import check
from mlflow_tfconv.steps.benchmark.report.printed import printed
from mlflow_tfconv.steps.benchmark.report.report import BenchmarkReport

_HANDED_ON = ("device", "batch_sizes", "scenarios", "minutes", "folder")


def compare(
    models: Sequence[str], conditions: Sequence[str], outputs: Outputs, **flags: Any
) -> int:
    """Measures the models and says how they compare; gives the exit code.

    Raises:
        TfconvError: Nothing could be measured.
    """
    try:
        outputs.check()
        named = named_models(models)
        for condition in conditions:
            check(condition, _run_names(named))
    except ConfigError as error:
        return _told(error, NOT_UNDERSTOOD)
    try:
        report = _measured(named, flags)
    except TfconvError as error:
        outputs.write_json({"rows": [], "conditions": [], "error": _plain(error)})
        if isinstance(error, ConfigError):
            return _told(error, NOT_UNDERSTOOD)
        raise
    verdicts = [_verdict(report, condition) for condition in conditions]
    try:  # files first: whoever reads what is printed may leave
        outputs.write_json({**report.content(), "conditions": [v.plain for v in verdicts]})
        outputs.write_html(report.to_html)
    finally:
        _show(report, verdicts, outputs)
    failed = [row for row in report.rows if row.failure]
    # One that is met outweighs what is amiss.
    return max([v.code for v in verdicts], default=FINE) or (NOT_MEASURED if failed else FINE)


@dataclass(frozen=True, slots=True)
class _Judged:
    """A condition, judged: as plain values, in words, in a color, as an exit code."""

    plain: dict[str, Any]
    words: str
    color: str
    code: int


def _show(report: BenchmarkReport, verdicts: Sequence[_Judged], outputs: Outputs) -> None:
    """The table on standard output, verdicts and failures on standard error."""
    if outputs.json != "-":
        console = Console(highlight=False)
        width = console.width if console.is_terminal else outputs.width
        console = Console(highlight=False, width=width)
        with console.capture() as captured:
            console.print(printed(report.reports, width))
        say(captured.get())
    for verdict in verdicts:
        click.secho(verdict.words, fg=verdict.color, err=True)
    for row in report.rows:
        if row.failure:
            click.secho(f"{row.run_name} could not be measured: {row.failure}", fg="red", err=True)


def _run_names(named: Mapping[str, Path]) -> list[str]:
    from mlflow_tfconv.steps.benchmark.candidates import candidates

    with tempfile.TemporaryDirectory(prefix="tfconv-") as scratch:
        return [variant.run_name for variant in candidates(named, Path(scratch))]


def _measured(named: Mapping[str, Path], flags: Mapping[str, Any]) -> BenchmarkReport:
    from mlflow_tfconv.arguments import settings
    from mlflow_tfconv.steps.benchmark.step import benchmark

    config = settings_of(flags["settings"])
    options = {**_own(config)}
    if flags["threads"] is not None:
        options["intra_op_threads"] = flags["threads"]
    given = {name: flags[name] for name in _HANDED_ON}
    with progress_shown() as emit:
        return benchmark(
            named,
            **given,
            samples=None if flags["samples"] is None else arrays(flags["samples"], "samples"),
            labels=None if flags["labels"] is None else _labels(flags["labels"]),
            metrics=flags["metrics"],
            device_options=settings(DeviceOptions, options, "device_options"),
            config=config,
            emit=emit,
        )


def _labels(path: Path) -> Any:
    """An array in a file alone is the labels, whatever its name."""
    found = arrays(path, "labels")
    return next(iter(found.values())) if isinstance(found, dict) and len(found) == 1 else found


def _own(config: dict[str, Any]) -> dict[str, Any]:
    """The settings of the device, which are taken out of the others."""
    options = config.pop("device_options", {})
    if not isinstance(options, dict):
        raise ConfigError(
            "A setting can't be understood.",
            received=f"device_options={options}",
            expected="one of its keys, such as device_options.inter_op_threads=1",
        )
    return options


def _verdict(report: BenchmarkReport, condition: str) -> _Judged:
    try:
        found = report.judged(condition)
    except (ConfigError, BenchmarkError) as error:
        amiss = NOT_UNDERSTOOD if isinstance(error, ConfigError) else NOT_MEASURED
        told = {"condition": condition, "met": None, "error": _plain(error)}
        return _Judged(told, str(error), "red", amiss)
    color, code = ("red", CONDITION_MET) if found.met else ("green", FINE)
    plain = {"condition": condition, "met": found.met, "values": dict(found.values)}
    return _Judged(plain, str(found), color, code)


def _told(error: TfconvError, code: int) -> int:
    click.secho(str(error), fg="red", err=True)
    return code


def _plain(error: TfconvError) -> dict[str, str | None]:
    return {
        "what": error.what,
        "received": error.received,
        "expected": error.expected,
        "fix": error.fix,
    }
