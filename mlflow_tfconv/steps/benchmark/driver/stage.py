"""What is asked of a worker besides opening, predicting and timing, and what is read from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mlflow_tfconv.artifacts import Variant
from mlflow_tfconv.device import Device
from mlflow_tfconv.steps.benchmark.config import BenchmarkConfig

When = Literal["opened", "alone", "timed"]
Answer = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a stage found out about a variant.

    Attributes:
        metrics: Metric name to value; what was not measured is absent.
        intervals: The same names to (low, high), 95 %, where they are known.
        notes: What a reader should know, each to follow the variant's name.
        details: Plain values for report.json.
        files: Large files, which are logged below `benchmark/<variant>/`.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A command with its arguments."""

    command: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One more thing that is measured; what fails of it is a note, and no failure of the variant.

    Attributes:
        name: The key of its answer and of its details.
        when: "opened": asked of the worker that has just been opened, before it predicts and is
            timed, and kept with the variant; "alone": the same of a worker of its own,
            which ends afterwards; "timed": asked after the variants were timed in turn, in the order
            of the table, and measured again whenever they are.
        applies: Whether it is asked for, of this variant on this device.
        ask: The command. It gets the metrics of the reference that are known by then ("timed" only,
            otherwise empty).
        read: What an answer says; files in it lie in the folder.
        depends: What of the config decides the answer: another value has it asked again.
        environment: Variables of a worker of its own, besides the usual ones.
    """

    name: str
    when: When
    applies: Callable[[BenchmarkConfig, Variant, Device], bool]
    ask: Callable[[BenchmarkConfig, Mapping[str, float]], Request]
    read: Callable[[Answer, Path], Findings]
    depends: Callable[[BenchmarkConfig], Any] = lambda _config: None
    environment: Mapping[str, str] = field(default_factory=dict)


def together(findings: list[Findings]) -> Findings:
    """All of them in one; details stay with their stages."""
    return Findings(
        metrics={name: value for one in findings for name, value in one.metrics.items()},
        intervals={name: pair for one in findings for name, pair in one.intervals.items()},
        notes=tuple(note for one in findings for note in one.notes),
        files=tuple(file for one in findings for file in one.files),
    )
