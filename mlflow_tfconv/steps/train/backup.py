"""The state of a training at the end of an epoch: written so that a kill leaves the last whole one.

Keras' BackupAndRestore keeps the weights and the optimizer only: after a restart EarlyStopping
counts from zero, dropout repeats its first masks and the history is empty. Here everything that
decides the epochs to come is kept.
"""

from __future__ import annotations

import os
import pickle
import random
import shutil
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras.src.random.seed_generator import global_seed_generator  # no public name for it

from mlflow_tfconv.engine.events import Metric

_VARIABLES = "variables.npz"
_STATE = "state.pickle"
_NOT_STATE = frozenset({"_model", "model", "params"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingState:
    """All that decides the epochs to come, but for the variables.

    Attributes:
        epochs: Finished epochs.
        best_epoch: Number of the best of them, counted from 1.
        stopped: Whether a callback has ended the training.
        metrics: What was logged of the finished epochs, in order, with its times.
        callbacks: One a callback: its class, and the pickled attributes that training has changed.
        random_states: Of Python's and numpy's global generators.
        log_sizes: File below the folder of logs to its size in bytes.
    """

    epochs: int
    best_epoch: int
    stopped: bool
    metrics: tuple[Metric, ...]
    callbacks: tuple[tuple[str, Mapping[str, bytes]], ...]
    random_states: tuple[Any, Any]
    log_sizes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Backup:
    """A folder with the state of the last finished epoch and the variables of the best one.

    Attributes:
        folder: Where they are; one folder an epoch below it.
        logs: The folder of TensorBoard's logs, brought back to the state as well.
    """

    folder: Path
    logs: Path

    def save(self, model: keras.Model, state: TrainingState) -> None:
        """Writes the state beside the earlier ones, then renames it, then deletes those."""
        done = self._of(state.epochs)
        work = self.folder / f".{done.name}"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        arrays = [variable.numpy() for variable in _variables(model)]
        np.savez(work / _VARIABLES, *arrays)
        (work / _STATE).write_bytes(pickle.dumps(state))
        work.replace(done)
        for old in self.folder.iterdir():
            if old not in (done, self._of(state.best_epoch)):
                shutil.rmtree(old)

    def load(self) -> TrainingState | None:
        """The state of the last finished epoch; None when there is none."""
        found = sorted(self.folder.glob("epoch-*"))
        if not found:
            return None
        # It was written by this step into its own folder.
        state: TrainingState = pickle.loads((found[-1] / _STATE).read_bytes())  # noqa: S301
        return state

    def restore_variables(self, model: keras.Model, epochs: int) -> bool:
        """Puts weights, seeds and optimizer back to the end of an epoch.

        Returns:
            False, with nothing changed, when the model has other variables than the one saved.
        """
        optimizer = model.optimizer
        if optimizer is not None and not optimizer.built:
            optimizer.build(model.trainable_variables)
        variables = _variables(model)
        with np.load(self._of(epochs) / _VARIABLES) as saved:
            arrays = [saved[name] for name in saved.files]
        shapes = [tuple(variable.shape) for variable in variables]
        if [array.shape for array in arrays] != shapes:
            return False
        for variable, array in zip(variables, arrays, strict=True):
            # numpy writes types of ml_dtypes, such as bfloat16, as nameless bytes.
            kind = variable.numpy().dtype
            variable.assign(array.view(kind) if array.dtype.kind == "V" else array)
        return True

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

    def _of(self, epochs: int) -> Path:
        return self.folder / f"epoch-{epochs:06d}"


def random_states() -> tuple[Any, Any]:
    """The states of Python's and numpy's global generators, which a user's code may draw from."""
    return random.getstate(), np.random.get_state()


def restore_random_states(states: tuple[Any, Any]) -> None:
    """The inverse of `random_states`."""
    random.setstate(states[0])
    np.random.set_state(states[1])


def plain_attributes(callback: keras.callbacks.Callback) -> dict[str, bytes]:
    """The attributes of a callback that are plain values, arrays or named functions, pickled.

    Counters, best values and weights kept aside are such; models, files and writers are not.
    """
    found = {}
    for name, value in vars(callback).items():
        if name in _NOT_STATE or not _is_plain(value):
            continue
        try:
            found[name] = pickle.dumps(value)
        except (pickle.PicklingError, AttributeError):  # a lambda, or a function in a function
            continue
    return found


def changed_attributes(
    callbacks: Sequence[keras.callbacks.Callback], before: Sequence[Mapping[str, bytes]]
) -> tuple[tuple[str, Mapping[str, bytes]], ...]:
    """One a callback: its class, and the plain attributes that differ from `before`."""
    return tuple(
        (
            _class_name(callback),
            {k: v for k, v in plain_attributes(callback).items() if old.get(k) != v},
        )
        for callback, old in zip(callbacks, before, strict=True)
    )


def restore_attributes(
    callbacks: Iterable[keras.callbacks.Callback],
    saved: Iterable[tuple[str, Mapping[str, bytes]]],
) -> None:
    """The inverse of `changed_attributes`; a callback of another class is left as it is."""
    for callback, (kind, attributes) in zip(callbacks, saved, strict=False):
        if _class_name(callback) != kind:
            continue
        for name, value in attributes.items():
            setattr(callback, name, pickle.loads(value))  # noqa: S301 (as in Backup.load)


def _class_name(callback: keras.callbacks.Callback) -> str:
    return f"{type(callback).__module__}.{type(callback).__qualname__}"


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_is_plain(item) for item in value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return all(_is_plain(item) for item in value)
    kinds = (int, float, complex, str, bytes, np.ndarray, np.generic, types.FunctionType)
    return value is None or isinstance(value, kinds)


def _variables(model: keras.Model) -> list[Any]:
    """Weights, states of seeds, optimizers (also a custom model's second one), the global seed."""
    optimizers = {
        id(value): value
        for value in vars(model).values()
        if isinstance(value, keras.optimizers.Optimizer)
    }
    of_optimizers = [v for optimizer in optimizers.values() for v in optimizer.variables]
    return [*model.variables, *of_optimizers, global_seed_generator().state]


def _files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]
