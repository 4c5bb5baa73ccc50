"""Trains the model of `steps/train.py`, from the start or from the last finished epoch."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.data.manifest import Manifest, open_manifest
from mlflow_tfconv.data.reading import read_dataset
from mlflow_tfconv.device import apply_to_tensorflow
from mlflow_tfconv.engine.events import ArtifactFile, Emit, Message, Metric, Param
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.errors import ConfigError, DataError
from mlflow_tfconv.steps.train.backup import Backup, TrainingState
from mlflow_tfconv.steps.train.callbacks import (
    BestEpoch,
    EpochEnd,
    Logs,
    Watch,
    no_such_metric,
)
from mlflow_tfconv.steps.train.config import TrainConfig
from mlflow_tfconv.steps.train.failures import told_in_a_line
from mlflow_tfconv.steps.train.functions import FILE, TrainFunctions, train_functions
from mlflow_tfconv.steps.train.model import check_fit, made_model
from mlflow_tfconv.steps.train.stream import first_examples, steps_per_epoch, training_stream

MODEL_FILE = "model.keras"
_LOGS = "tensorboard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A finished training.

    Attributes:
        model: With the weights of the best epoch.
        history: Metric name to one value an epoch.
        best_epoch: Counted from 1.
        monitor: The metric that told the best epoch.
        test: Metric name (`test_loss`, ...) to its value on the test split; empty without one.
    """

    model: keras.Model
    history: dict[str, tuple[float, ...]]
    best_epoch: int
    monitor: str
    test: dict[str, float]


def fit(source: Dataset, workdir: Path, context: StepContext, config: TrainConfig) -> Training:
    """Trains, and writes model.keras and TensorBoard's logs into `workdir`.

    Raises:
        ConfigError: `steps/train.py` or the config can't be used.
        DataError: There is nothing to train on, or the model does not fit the data.
        StepError: The loss is no longer a number, or TensorFlow fails.
    """
    with _on_device(context):
        keras.utils.set_random_seed(config.seed)
        manifest = open_manifest(source)
        _check_not_empty(manifest)
        functions = train_functions(context.recipe_root)
        model = made_model(functions, source, manifest, config)
        run = _Run(source, config, manifest, Backup(workdir / "resume", workdir / _LOGS))
        examples = first_examples(source, config.batch_size, functions.augment_fn)
        names = check_fit(model, *examples, manifest)
        if names is not None and functions.callbacks_fn is None:  # those may add metrics
            run.check_monitor(names)
        _say_params(model, config, context.emit)
        run.say_monitor(context.emit)
        with told_in_a_line():
            training = run.fitted(model, functions, context.emit)
        model.save(workdir / MODEL_FILE)
        context.emit(ArtifactFile(path=workdir / _LOGS, folder=_LOGS))
        run.backup.clear()
        return training


@dataclass(frozen=True, slots=True)
class _Run:
    source: Dataset
    config: TrainConfig
    manifest: Manifest
    backup: Backup

    def fitted(self, model: keras.Model, functions: TrainFunctions, emit: Emit) -> Training:
        """Fits what is left to fit, and puts the weights of the best epoch into the model."""
        state = self._resumed(model, emit)
        first = state.epochs if state else 0
        callbacks, end = self._callbacks(functions, emit)
        end.state = state
        model.fit(
            training_stream(
                self.source, self.config, first_epoch=first, augment_fn=functions.augment_fn
            ),
            steps_per_epoch=steps_per_epoch(self.source, self.config),
            validation_data=self._validation(),
            initial_epoch=first,
            epochs=first if state and state.stopped else self.config.epochs,
            callbacks=callbacks,
            shuffle=False,  # the stream is; Keras warns otherwise
            verbose=0,
        )
        assert end.state is not None  # noqa: S101 (at least one epoch was trained, now or before)
        best = end.state.best_epoch
        self.backup.restore_variables(model, best)
        if model.optimizer is not None:
            model.optimizer.finalize_variable_values(model.trainable_weights)
        return Training(
            model=model,
            history=_history(end.state),
            best_epoch=best,
            monitor=self._monitor(),
            test=self._tested(model, emit),
        )

    def check_monitor(self, names: Sequence[str]) -> None:
        """Makes sure that the metrics to monitor are among the model's.

        Raises:
            ConfigError: One is not.
        """
        known = [*names, *(f"val_{name}" for name in names if self._validates())]
        for monitor in (self._monitor(), self._stopping_monitor()):
            if monitor not in known:
                raise no_such_metric(monitor, known)

    def say_monitor(self, emit: Emit) -> None:
        """Warns when the metric of recipe.yaml can't be had."""
        if self._monitor() != self.config.monitor:
            text = f"There is no validation split: the best epoch is told by {self._monitor()}."
            emit(Message(text=text, level="warning"))

    def _resumed(self, model: keras.Model, emit: Emit) -> TrainingState | None:
        """Brings back what a killed training left; its metrics are said again, for a new run."""
        state = self.backup.load()
        if state is not None and not self.backup.restore_variables(model, state.epochs):
            emit(Message(text="The model has changed: training starts anew.", level="warning"))
            self.backup.clear()
            state = None
        self.backup.restore_logs(state)
        if state is not None:
            emit(Message(text=f"Training goes on after epoch {state.epochs}."))
            for metric in state.metrics:
                emit(metric)
        return state

    def _callbacks(
        self, functions: TrainFunctions, emit: Emit
    ) -> tuple[list[keras.callbacks.Callback], EpochEnd]:
        config, monitor = self.config, self._monitor()
        steps = steps_per_epoch(self.source, config)
        best = BestEpoch(monitor, config.mode)
        others = [
            *_users_callbacks(functions),  # first: the others may watch a metric that one adds
            Watch(emit, epochs=config.epochs, steps=steps, monitor=monitor),
            best,
            *self._early_stopping(),
            Logs(self.backup.logs),
            keras.callbacks.History(),
        ]
        end = EpochEnd(self.backup, emit, others, best)
        return [*others, end], end

    def _early_stopping(self) -> Iterator[keras.callbacks.Callback]:
        asked = self.config.early_stopping
        if asked is None:
            return
        monitor = self._stopping_monitor()
        yield keras.callbacks.EarlyStopping(
            monitor=monitor,
            mode=self.config.mode if monitor == self._monitor() else "auto",
            patience=asked.patience,
            min_delta=asked.min_delta,
        )

    def _monitor(self) -> str:
        return self._there(self.config.monitor)

    def _stopping_monitor(self) -> str:
        asked = self.config.early_stopping
        return self._there((asked and asked.monitor) or self.config.monitor)

    def _there(self, monitor: str) -> str:
        """Without a validation split the metric on the training split has to do."""
        return monitor if self._validates() else monitor.removeprefix("val_")

    def _validates(self) -> bool:
        return bool(self.manifest.counts.get("validation"))

    def _validation(self) -> tf.data.Dataset | None:
        if not self._validates():
            return None
        return read_dataset(self.source, "validation", self.config.batch_size)

    def _tested(self, model: keras.Model, emit: Emit) -> dict[str, float]:
        if not self.manifest.counts.get("test"):
            return {}
        batches = read_dataset(self.source, "test", self.config.batch_size)
        values = model.evaluate(batches, return_dict=True, verbose=0)
        test = {f"test_{name}": float(value) for name, value in values.items()}
        for name, value in test.items():
            emit(Metric(name=name, value=value))
        return test


@contextlib.contextmanager
def _on_device(context: StepContext) -> Iterator[None]:
    tf.get_logger().setLevel(logging.ERROR)
    place = apply_to_tensorflow(context.device)
    # On a GPU TensorFlow itself knows best what belongs there.
    with tf.device(place if context.device.kind == "cpu" else None):
        yield


def _check_not_empty(manifest: Manifest) -> None:
    counts = manifest.counts
    if not counts.get("train"):
        raise DataError(
            "There is nothing to train on: the train split is empty.",
            received=", ".join(f"{name}: {count}" for name, count in counts.items()) or "no splits",
            expected="at least one example in the split train",
            fix="Change `split_ratios` of the step ingest, or look at what it reads.",
        )


def _users_callbacks(functions: TrainFunctions) -> list[keras.callbacks.Callback]:
    found = list(functions.callbacks_fn() or ()) if functions.callbacks_fn else []
    for callback in found:
        if not isinstance(callback, keras.callbacks.Callback):
            raise ConfigError(
                f"callbacks_fn in {FILE} gives something that is no callback of Keras 3.",
                received=f"{type(callback).__module__}.{type(callback).__name__}",
                expected="a list of keras.callbacks.Callback",
                fix="Derive it from keras.callbacks.Callback.",
            )
    return found


def _say_params(model: keras.Model, config: TrainConfig, emit: Emit) -> None:
    values: dict[str, Any] = {
        "epochs": config.epochs,
        "batch_size": config.batch_size,
        "seed": config.seed,
        "optimizer": type(model.optimizer).__name__,
        "parameters": model.count_params(),
        **{f"params.{name}": value for name, value in config.params.items()},
    }
    for name, value in values.items():
        plain = value is None or isinstance(value, str | int | float | bool)
        emit(Param(name=name, value=value if plain else json.dumps(value)))


def _history(state: TrainingState) -> dict[str, tuple[float, ...]]:
    found: dict[str, list[float]] = {}
    for metric in state.metrics:
        found.setdefault(metric.name, []).append(metric.value)
    return {name: tuple(values) for name, values in found.items()}
