"""What may be asked of `train`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.train.callbacks_config import (
    CheckpointsConfig,
    LearningRateConfig,
    PlateauConfig,
    TensorBoardConfig,
    check_rates,
)
from mlflow_tfconv.steps.train.out_of_range import at_least, out_of_range
from mlflow_tfconv.steps.train.read_config import ReadConfig
from mlflow_tfconv.steps.train.transfer_config import (
    CompileConfig,
    StartFromConfig,
    check_transfer,
)
from mlflow_tfconv.steps.train.trials_config import TrialsConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyStoppingConfig:
    """When to stop before the last epoch.

    Attributes:
        patience: Epochs without improvement after which training stops.
        min_delta: Smallest change that counts as an improvement.
        monitor: Metric to watch; null takes `train.monitor`.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    patience: int = 5
    min_delta: float = 0.0
    monitor: str | None = None

    def __post_init__(self) -> None:
        """Checks the ranges."""
        at_least(1, "early_stopping.patience", self.patience)
        at_least(0, "early_stopping.min_delta", self.min_delta)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """How the model of `steps/train.py` is trained.

    Attributes:
        using: "custom" for `steps/train.py`, or the import path of a step class of your own.
        epochs: Most passes over the training split.
        batch_size: Examples a training step; "auto" finds the largest power of two whose training
            step fits into the device's memory.
        max_batch_size: Most that `batch_size: auto` takes.
        params: Keyword arguments of `model_fn`, such as `{dropout: 0.2}`.
        seed: Decides initial weights, shuffling and dropout.
        shuffle: Whether every epoch reads the examples in another order; a number is the examples
            to draw the next one from, otherwise about 64 MB of them.
        read: How examples of varying length become batches.
        monitor: Metric that tells the best epoch, whose weights are kept.
        mode: Whether a smaller ("min") or a greater ("max") value of it is better; "auto" tells it
            from the metric.
        early_stopping: When to stop before the last epoch; null never does.
        deterministic: Whether TensorFlow may only use operations that give the same bits in every
            run on the same device; slower.
        mixed_precision: The type to compute in, while weights stay float32; null leaves it to the
            model.
        jit_compile: Whether XLA compiles the training step; null leaves it to the model.
        gradient_accumulation: Batches whose gradients are averaged before the weights change; null
            leaves it to the model's optimizer.
        steps_per_execution: Batches that are trained on in one call of TensorFlow's graph; null
            leaves it to the model.
        class_weight: How much an example of a class counts in the loss: "balanced" counts classes
            alike however often they occur, or `{class name or number: weight}` (1 where a class is
            not named); null counts all examples alike.
        sample_weight: A numeric feature that says how much its example counts in the loss; the
            model does not see it.
        backup_every_steps: Also keep the state of training after so many steps within an epoch, to
            go on from there after a kill; null keeps it at the end of every epoch only.
        start_from: A model whose training goes on, by its path or with more about how to read it:
            whatever `convert` reads into Keras. `model_fn` gets it as the keyword `base`.
        compile: Trains the model of `start_from` as it is, without a `model_fn`.
        freeze: Names or paths of layers that are not trained, such as "conv*" or
            "backbone/block1_*"; with all layers in them. Frozen BatchNormalization keeps its
            statistics.
        unfreeze_after: Number of epochs after which the frozen layers are trained, too.
        learning_rates: Name or path of layers to their learning rate at the start; of several that
            match, the longest decides. A schedule scales all alike.
        learning_rate: The optimizer's learning rate, or how it changes; null leaves it to the
            model.
        reduce_on_plateau: When to lower the learning rate; null never does.
        checkpoints: Which models are kept besides that of the best epoch; null keeps none.
        tensorboard: What is logged for TensorBoard besides the scalars of every epoch.
        trials: Short trainings with other settings, of which the best goes on; null has none.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    using: Literal["custom"] = "custom"
    epochs: int = 10
    batch_size: int | Literal["auto"] = 32
    max_batch_size: int = 1024
    params: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    shuffle: bool | int = True
    read: ReadConfig = field(default_factory=ReadConfig)
    monitor: str = "val_loss"
    mode: Literal["auto", "min", "max"] = "auto"
    early_stopping: EarlyStoppingConfig | None = field(default_factory=EarlyStoppingConfig)
    deterministic: bool = False
    mixed_precision: Literal["float16", "bfloat16"] | None = None
    jit_compile: bool | None = None
    gradient_accumulation: int | None = None
    steps_per_execution: int | None = None
    class_weight: Literal["balanced"] | dict[str, float] | None = None
    sample_weight: str | None = None
    backup_every_steps: int | None = None
    start_from: str | StartFromConfig | None = None
    compile: CompileConfig | None = None
    freeze: tuple[str, ...] = ()
    unfreeze_after: int | None = None
    learning_rates: dict[str, float] = field(default_factory=dict)
    learning_rate: float | LearningRateConfig | None = None
    reduce_on_plateau: PlateauConfig | None = None
    checkpoints: CheckpointsConfig | None = None
    tensorboard: TensorBoardConfig = field(default_factory=TensorBoardConfig)
    trials: TrialsConfig | None = None

    def __post_init__(self) -> None:
        """Checks the ranges."""
        at_least(1, "epochs", self.epochs)
        if self.batch_size != "auto":
            at_least(1, "batch_size", self.batch_size)
        at_least(1, "max_batch_size", self.max_batch_size)
        at_least(0, "seed", self.seed)
        at_least(0, "shuffle", self.shuffle)
        if self.seed >= 2**32:
            raise out_of_range("seed", self.seed, "a whole number below 2**32")
        for key in ("gradient_accumulation", "steps_per_execution", "backup_every_steps"):
            if getattr(self, key) is not None:
                at_least(1, key, getattr(self, key))
        self._check_class_weight()
        check_rates(self.learning_rate, self.reduce_on_plateau)
        check_transfer(self.start_from, self.compile, self.learning_rates, self.unfreeze_after)
        if self.trials is not None:
            self.trials.check_against(type(self))

    def _check_class_weight(self) -> None:
        if not isinstance(self.class_weight, dict):
            return
        if not self.class_weight:
            raise ConfigError(
                "train.class_weight names no class.",
                received="{}",
                expected="{class name or number: weight}",
                fix='Name classes, set "balanced", or leave `class_weight` out.',
            )
        for name, weight in self.class_weight.items():
            at_least(0, f"class_weight.{name}", weight)
