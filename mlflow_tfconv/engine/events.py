"""What a step says while it runs; the driver process shows it and logs it to MLflow.

A step never speaks to MLflow itself. Each event is one line of JSON, sent to the driver at once and
kept in the step's `events.jsonl`, so that a result that was made earlier, or elsewhere, can be
logged again. `run` names the child run `<variant>/<format>` an event belongs to; None is the parent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlflow_tfconv.artifacts import TensorSpec


def now_ms() -> int:
    """Milliseconds since the epoch, as MLflow stamps metrics."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A number; `step` is the epoch where there is one."""

    name: str
    value: float
    step: int = 0
    run: str | None = None
    time_ms: int = field(default_factory=now_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """A setting that does not change during a run."""

    name: str
    value: str | float | bool | None
    run: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """A label of a run; an empty value takes it away."""

    name: str
    value: str
    run: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactFile:
    """A file or folder for the run's artifacts, below `folder` there."""

    path: Path
    folder: str = ""
    run: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantRun:
    """A variant, or a trial of a search, exists and has a child run, named `run`.

    Attributes:
        run: `<variant>/<format>`, or `trial/<number>`.
        fingerprint: While it is unchanged the variant keeps its run.
        params: What differs between variants: format, precision, technique, sparsity, ...
        kind: "variant" | "trial".
    """

    run: str
    fingerprint: str
    params: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "variant"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded:
    """A child run has come to an end that is worth telling.

    Attributes:
        run: Its name.
        status: "FINISHED", "FAILED" or "KILLED", as MLflow knows them.
    """

    run: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """The model of a child run, to be logged as an MLflow model and loaded back once.

    Attributes:
        run: `<variant>/<format>`.
        format: "keras" | "saved_model" | "onnx".
        path: The file, or the SavedModel's folder.
        inputs: Its inputs.
        outputs: Its outputs.
        examples: An .npz with a small batch `{input_name: array}`, or None.
    """

    run: str
    format: str
    path: Path
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    examples: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetUsed:
    """The data that went in, for the lineage: the manifest and what it was used for."""

    manifest: Path
    context: str = "training"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterModel:
    """The gate chose a variant: make it a version of `model_name` and point `alias` at it."""

    run: str
    model_name: str
    alias: str
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a piece of work is.

    Attributes:
        label: What is being done; a new label starts a new bar.
        done: Units done so far.
        total: Units in all, or None when nobody knows.
        detail: What is worth showing beside the bar, such as the loss.
        lane: What goes on side by side with others has a bar of its own, which goes when it is
            done; "" is the one there always is.
    """

    label: str
    done: float
    total: float | None = None
    detail: str = ""
    lane: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A line for the user; level is "info" or "warning"."""

    text: str
    level: str = "info"


Event = (
    Metric
    | Param
    | Tag
    | ArtifactFile
    | VariantRun
    | RunEnded
    | ModelFile
    | DatasetUsed
    | RegisterModel
    | Progress
    | Message
)

EVENTS: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        Metric,
        Param,
        Tag,
        ArtifactFile,
        VariantRun,
        RunEnded,
        ModelFile,
        DatasetUsed,
        RegisterModel,
        Progress,
        Message,
    )
}

Emit = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Takes an event and does nothing: for steps that run without a recipe."""
