"""Models of earlier epochs are kept in a folder, the newest few of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import keras

from mlflow_tfconv.engine.events import ArtifactFile, Emit
from mlflow_tfconv.steps.train.callbacks_config import CheckpointsConfig

_NAME = re.compile(r"epoch-(\d+)\.keras")


class KeepModels(keras.callbacks.Callback):  # type: ignore[misc]  # keras carries no types
    """Writes `epoch-0007.keras` and the like; each is there as a whole or not at all."""

    def __init__(self, folder: Path, config: CheckpointsConfig, *, best: Any, emit: Emit) -> None:
        """Makes the callback.

        Args:
            folder: Made when it is needed.
            config: Which models are kept.
            best: The callback that knows the best epoch; it comes before this one.
            emit: Takes the folder at the end.
        """
        super().__init__()
        self._folder, self._config, self._best, self._emit = folder, config, best, emit

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Deletes what another training, or one that was killed, has left of this epoch or later."""
        del logs  # Keras passes it
        for number, file in self._kept():
            if number > epoch:
                file.unlink()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Keeps this epoch's model, and deletes the oldest."""
        del logs  # Keras passes it
        if (epoch + 1) % self._config.every:
            return
        if self._config.best_only and self._best.best_epoch != epoch:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        done = self._folder / f"epoch-{epoch + 1:04d}.keras"
        work = done.with_name(f".{done.name}")
        self.model.save(work)
        work.replace(done)
        for _, file in self._kept()[: -self._config.keep]:
            file.unlink()

    def on_train_end(self, logs: Any = None) -> None:
        """Gives the folder to the run."""
        del logs  # Keras passes it
        if self._kept():
            self._emit(ArtifactFile(path=self._folder, folder=self._folder.name))

    def _kept(self) -> list[tuple[int, Path]]:
        files = self._folder.glob("epoch-*.keras")
        named = [(_NAME.fullmatch(file.name), file) for file in files]
        return sorted((int(found[1]), file) for found, file in named if found)
