"""One training: the data, the settings, the user's functions and where it may write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.data.manifest import Manifest, open_manifest
from mlflow_tfconv.data.schema import Schema
from mlflow_tfconv.engine.events import Emit
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.errors import ConfigError, DataError
from mlflow_tfconv.steps.train.config import TrainConfig
from mlflow_tfconv.steps.train.functions import TrainFunctions
from mlflow_tfconv.steps.train.monitor import Monitor

#: Within a training's folder: what it goes on from when it was killed.
RESUME_FOLDER = "resume"


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """All that decides a training, and where it may write and speak.

    Attributes:
        manifest: The data.
        config: How to train; its batch size is a number.
        functions: The user's.
        workdir: The step's folder.
        context: The step's surroundings.
        class_weights: Class to how much its examples count in the loss; None when all count alike.
    """

    manifest: Manifest
    config: TrainConfig
    functions: TrainFunctions
    workdir: Path
    context: StepContext
    class_weights: Mapping[int, float] | None = None

    @property
    def emit(self) -> Emit:
        """Takes the events."""
        return self.context.emit

    @cached_property
    def schema(self) -> Schema:
        """What the model sees: the `spec` of the user's functions.

        Raises:
            ConfigError: There is no feature that could be `sample_weight`.
        """
        schema, weight = self.manifest.schema, self.config.sample_weight
        if weight is None:
            return schema
        _check_weight(schema, weight)
        rest = {name: spec for name, spec in schema.features.items() if name != weight}
        return replace(schema, features=rest)

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """Examples of each split."""
        return self.manifest.counts

    @property
    def batch_size(self) -> int:
        """Examples a training step."""
        size = self.config.batch_size
        if size == "auto":
            raise ConfigError(
                "The batch size has not been found yet.",
                received="batch_size: auto",
                expected="a number",
                fix="Run the step TrainStep, which finds it first.",
            )
        return size

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch; the last may be smaller."""
        return -(-self.counts["train"] // self.batch_size)

    @property
    def validates(self) -> bool:
        """Whether there is a validation split."""
        return bool(self.counts.get("validation"))

    @property
    def monitor(self) -> Monitor:
        """Which metrics decide."""
        return Monitor(config=self.config, validates=self.validates)

    @property
    def logs(self) -> Path:
        """The folder of TensorBoard's logs."""
        return self.workdir / "tensorboard"

    @property
    def resume(self) -> Path:
        """The folder of what a killed training goes on from."""
        return self.workdir / RESUME_FOLDER


def training_job(
    source: Dataset,
    workdir: Path,
    context: StepContext,
    config: TrainConfig,
    functions: TrainFunctions,
) -> TrainingJob:
    """The job, once it is clear that there is something to train on.

    Raises:
        DataError: The train split is empty.
    """
    manifest = open_manifest(source)
    _check_not_empty(manifest)
    return TrainingJob(
        manifest=manifest, config=config, functions=functions, workdir=workdir, context=context
    )


def _check_not_empty(manifest: Manifest) -> None:
    counts = manifest.counts
    if not counts.get("train"):
        raise DataError(
            "There is nothing to train on: the train split is empty.",
            received=", ".join(f"{name}: {count}" for name, count in counts.items()) or "no splits",
            expected="at least one example in the split train",
            fix="Change `split_ratios` of the step ingest, or look at what it reads.",
        )


def _check_weight(schema: Schema, name: str) -> None:
    spec = schema.inputs.get(name)
    number = spec is not None and spec.dtype != "string" and spec.shape in ((), (1,))
    if not number or len(schema.inputs) < 2:
        raise ConfigError(
            "train.sample_weight is no feature that could weigh examples.",
            received=f"sample_weight: {name}"
            + ("" if spec is None else f", {spec.dtype} {spec.shape}"),
            expected="a feature with one number an example, besides what the model sees; of "
            + ", ".join(schema.inputs),
            fix="Yield the weight as a feature of its own in the step ingest.",
        )
