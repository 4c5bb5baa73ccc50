"""One training from end to end: the batch size, the model, the card."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.engine.cards import Card
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.steps.train.batch_size import find_batch_size
from mlflow_tfconv.steps.train.card import train_card
from mlflow_tfconv.steps.train.config import TrainConfig
from mlflow_tfconv.steps.train.fit import fit
from mlflow_tfconv.steps.train.functions import TrainFunctions
from mlflow_tfconv.steps.train.job import RESUME_FOLDER
from mlflow_tfconv.steps.train.training import Training


def forget_states(workdir: Path) -> None:
    """Deletes what a killed training goes on from; to be called when the result is safe."""
    shutil.rmtree(workdir / RESUME_FOLDER, ignore_errors=True)


def one_training(
    source: Dataset,
    workdir: Path,
    context: StepContext,
    config: TrainConfig,
    functions: TrainFunctions | None = None,
) -> tuple[Training, Card]:
    """Trains one model; `config.trials` is not looked at.

    Args:
        source: The examples.
        workdir: Empty, or what a killed call has left.
        context: The surroundings.
        config: How to train.
        functions: The user's; by default those of `steps/train.py`.

    Raises:
        TfconvError: As `TrainStep.run`.
    """
    found = None
    if config.batch_size == "auto":
        found = find_batch_size(source, workdir, context, config)
        config = dataclasses.replace(config, batch_size=found.batch_size)
    training = fit(source, workdir, context, config, functions=functions)
    card = train_card(training, config.epochs, workdir)
    if found is not None:
        card = dataclasses.replace(card, parts=(*card.parts, found.table()))
    return training, card
