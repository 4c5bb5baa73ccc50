"""The state of a training, written so that a kill at any moment leaves the last whole one.

Keras' BackupAndRestore keeps the weights, the optimizer and the number of the epoch only (tried
with Keras 3.15): after a restart EarlyStopping and ReduceLROnPlateau count from zero, dropout
repeats its first masks, the stream begins anew and the history is empty. Here everything that
decides what is to come is kept.
"""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow_tfconv.engine.events import Metric
from mlflow_tfconv.errors import StepError
from mlflow_tfconv.steps.train.callback_state import RandomStates
from mlflow_tfconv.steps.train.failures import disk_is_full
from mlflow_tfconv.steps.train.stored_variables import (
    Index,
    fits,
    make_ready,
    restore_variables,
    store_variables,
)

_VARIABLES = "variables.bin"
_STATE = "state.pickle"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingState:
    """All that decides what is to come, but for the variables.

    Attributes:
        epochs: Finished epochs.
        steps: Batches of the epoch after these that were trained on.
        best_epoch: Number of the best finished epoch, counted from 1; 0 before there is one.
        stopped: Whether a callback has ended the training.
        metrics: What was logged of the finished epochs, in order, with its times.
        callbacks: One a callback: its class, and the pickled attributes that training has changed.
        random_states: Of Python's and numpy's global generators.
        log_sizes: File below the folder of logs to its size in bytes.
        loop: What the loop of the user's own has told so far of the unfinished epoch, pickled.
    """

    epochs: int
    steps: int = 0
    best_epoch: int
    stopped: bool = False
    metrics: tuple[Metric, ...] = ()
    callbacks: tuple[tuple[str, Mapping[str, bytes]], ...] = ()
    random_states: RandomStates
    log_sizes: Mapping[str, int]
    loop: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What was brought back.

    Attributes:
        weights: Whether weights, optimizers and seeds were.
        metrics: Whether the running values of metrics were; not those that are not made yet.
    """

    weights: bool
    metrics: bool


@dataclass(frozen=True, slots=True)
class Backup:
    """A folder with the last state, and the variables of the best epoch.

    Attributes:
        folder: Where they are; one folder a state below it.
        logs: The folder of TensorBoard's logs, brought back to the state as well.
    """

    folder: Path
    logs: Path

    def save(self, model: Any, state: TrainingState) -> None:
        """Writes the state beside the earlier ones, then renames it, then deletes those.

        Raises:
            StepError: The disk is full; the states before are as they were.
        """
        done = self._of(state.epochs, state.steps)
        work = self.folder / f".{done.name}"
        shutil.rmtree(work, ignore_errors=True)
        try:
            work.mkdir(parents=True)
            index = store_variables(model, work / _VARIABLES)
            (work / _STATE).write_bytes(pickle.dumps((state, index)))
        except OSError as e:
            shutil.rmtree(work, ignore_errors=True)
            raise _not_kept(e, state, self.folder) from e
        if done.exists():  # of a training that went on from an earlier state
            shutil.rmtree(done)
        work.replace(done)
        for old in self.folder.iterdir():
            if old not in (done, self._of(state.best_epoch)):
                shutil.rmtree(old)

    def load(self) -> TrainingState | None:
        """The last state that is whole; None when there is none."""
        return next((state for state, _ in self._states()), None)

    def restore_variables(self, model: Any, epochs: int, steps: int = 0) -> Restored:
        """Puts weights, seeds, optimizers and metrics back to a state's.

        Nothing is changed when the model has other weights than the one that was kept.
        """
        folder = self._of(epochs, steps)
        _, index = _read(folder)
        make_ready(model, index)
        if not fits(model, index):
            return Restored(weights=False, metrics=False)
        metrics = restore_variables(model, folder / _VARIABLES, index)
        return Restored(weights=True, metrics=metrics)

    def restore_logs(self, state: TrainingState | None) -> None:
        """Takes out of the logs what was written after the state, or all without one."""
        sizes = state.log_sizes if state else {}
        for file in _files(self.logs):
            size = sizes.get(str(file.relative_to(self.logs)))
            if size is None:
                file.unlink()
            else:
                os.truncate(file, size)

    def log_sizes(self) -> dict[str, int]:
        """File below the folder of logs to its size in bytes."""
        return {str(file.relative_to(self.logs)): file.stat().st_size for file in _files(self.logs)}

    def clear(self) -> None:
        """Deletes everything."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _states(self) -> Iterator[tuple[TrainingState, Index]]:
        """The newest first; one that a crash of the machine has cut is passed over."""
        for folder in sorted(self.folder.glob("epoch-*"), reverse=True):
            try:
                yield _read(folder)
            except (OSError, EOFError, ValueError, pickle.UnpicklingError):
                continue

    def _of(self, epochs: int, steps: int = 0) -> Path:
        return self.folder / f"epoch-{epochs:06d}-step-{steps:09d}"


def _read(folder: Path) -> tuple[TrainingState, Index]:
    # Written by this step into its own folder.
    state, index = pickle.loads((folder / _STATE).read_bytes())  # noqa: S301
    if (folder / _VARIABLES).stat().st_size != index.size_bytes:
        raise ValueError(f"{folder} is cut")
    return state, index


def _not_kept(error: OSError, state: TrainingState, folder: Path) -> StepError:
    full = disk_is_full(error)
    where = (
        f"{state.steps} steps into epoch {state.epochs + 1}"
        if state.steps
        else (f"after epoch {state.epochs}")
    )
    return StepError(
        f"The state of training {where} could not be kept"
        + (": the disk is full." if full else f": {error.strerror or error}."),
        received=f"{folder}: {shutil.disk_usage(folder.parent).free // 10**6} MB are free",
        expected="room for the weights and what the optimizer keeps of each, three times over",
        fix="Make room and run the same command again: it goes on from the state before.",
    )


def _files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]
