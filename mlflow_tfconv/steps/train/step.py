"""train: a model, from examples."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from mlflow_tfconv.artifacts import Checkpoint, Dataset
from mlflow_tfconv.engine.step import Step, StepContext, StepResult
from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.train.config import TrainConfig
from mlflow_tfconv.steps.train.functions import TrainFunctions
from mlflow_tfconv.steps.train.transfer_config import StartFromConfig


class TrainStep(Step[TrainConfig]):
    """Trains the model of `steps/train.py` on the stream of the training split.

    The weights of the best epoch end up in the model's file. A training that was killed goes on
    after its last finished epoch, or within it (`backup_every_steps`), when it is run again with
    the same folder, and ends as if nothing had happened.

    ```python
    functions = TrainFunctions(model_fn=make_model)
    TrainStep(TrainConfig(epochs=3), functions=functions).run(dataset, Path("work"))
    ```
    """

    name: ClassVar[str] = "train"
    config_class: ClassVar[type] = TrainConfig
    user_code: ClassVar[tuple[str, ...]] = ("steps/train.py",)
    libraries: ClassVar[tuple[str, ...]] = ("tensorflow", "keras", "numpy")
    resumable: ClassVar[bool] = True

    def __init__(self, config: TrainConfig, functions: TrainFunctions | None = None) -> None:
        """Notes what to do.

        Args:
            config: How to train.
            functions: Those of `steps/train.py`, for a training without a recipe.
        """
        super().__init__(config)
        self.functions = functions

    def needed_functions(self) -> Mapping[str, tuple[str, ...]]:
        """What makes the model."""
        config = self.config
        base = config.start_from
        named = base.user_functions if isinstance(base, StartFromConfig) else ()
        made = () if config.compile is not None else ("model_fn",)
        return {"steps/train.py": (*made, *named)} if made or named else {}

    def inputs(self) -> tuple[Path, ...]:
        """The files of the model to start from, relative to the recipe's folder."""
        base = self.config.start_from
        files = base.files if isinstance(base, StartFromConfig) else (base,)
        return tuple(Path(file) for file in files if file is not None)

    def decided_by(self) -> tuple[str, ...]:
        """The device and its limits, where the batch size is measured on it."""
        return (*self.reads, "device") if self.config.batch_size == "auto" else self.reads

    def run(
        self, source: Dataset, workdir: Path, context: StepContext = StepContext()
    ) -> StepResult:
        """Trains.

        Args:
            source: Examples with the splits train and, if there are any, validation and test.
            workdir: Empty, or what a killed run has left.
            context: `recipe_root` holds `steps/train.py`.

        Raises:
            ConfigError: `steps/train.py` or the config can't be used.
            DataError: There is nothing to train on, or the model does not fit the data.
            StepError: The loss is no longer a number, or TensorFlow fails; all trials have failed.
            OutOfMemoryError: Training needs more memory than there is.
        """
        if self.functions is not None:
            _check_in_this_process(self.config)
        if self.config.trials is not None:
            from mlflow_tfconv.steps.train.trials.search import searched

            return searched(source, workdir, context, self.config)
        from mlflow_tfconv.steps.train.one_training import forget_states, one_training

        training, card = one_training(source, workdir, context, self.config, self.functions)
        forget_states(workdir)
        return StepResult(
            output=Checkpoint(path=training.path, history=training.history), card=card
        )


def _check_in_this_process(config: TrainConfig) -> None:
    """Functions that are given directly do not travel to other processes."""
    elsewhere = {"trials": config.trials is not None, "batch_size": config.batch_size == "auto"}
    for key in (key for key, asked in elsewhere.items() if asked):
        raise ConfigError(
            f"train.{key} needs a recipe: it trains in other processes.",
            received=f"{key}: {getattr(config, key)}, and functions that were given directly",
            expected="StepContext(recipe_root=...) with a steps/train.py",
            fix=f"Write the functions into steps/train.py, or take `{key}` out.",
        )
