from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from mlflow_tfconv.artifacts import Checkpoint, Dataset
from mlflow_tfconv.engine.events import Message, Metric
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.steps import TrainConfig, TrainStep
from mlflow_tfconv.steps.train.backup import Backup, TrainingState
from mlflow_tfconv.steps.train.config import EarlyStoppingConfig

Make = Callable[..., Path]

# Everything that a restart could lose: noise of the stream and of the model, Adam's moments, the
# counters of two callbacks, numpy's generator, a user's callback with a list.
USER_CODE = """
import os
import signal
import numpy as np
import tensorflow as tf

def augment_fn(image, kind):
    return image + tf.random.normal(tf.shape(image), stddev=0.1), kind

class Diary(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.drawn = []

    def on_epoch_end(self, epoch, logs=None):
        self.drawn.append(float(np.random.rand()))
        logs["drawn"] = sum(self.drawn)

class Death(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        steps = self.model.optimizer.iterations.numpy()
        if int(steps) == int(os.environ.get("DIE_AT_STEP", -1)):
            os.kill(os.getpid(), signal.SIGKILL)

def callbacks_fn():
    slower = keras.callbacks.ReduceLROnPlateau(patience=2, min_delta=1e6, factor=0.5)
    return [slower, Diary(), Death()]
"""

CONFIG = TrainConfig(
    epochs=9, batch_size=16, early_stopping=EarlyStoppingConfig(patience=5, min_delta=1e6)
)
STEPS_PER_EPOCH = 4


def test_a_killed_training_ends_as_an_undisturbed_one(
    dataset: Dataset, recipe: Make, workdir: Path, tmp_path: Path
) -> None:
    assert -(-dataset.counts["train"] // 16) == STEPS_PER_EPOCH
    root = recipe(USER_CODE)
    straight, _ = trained(dataset, root, tmp_path / "straight")
    kill_while_training(dataset, root, workdir, step=3 * STEPS_PER_EPOCH + 2)
    assert (workdir / "resume").is_dir()
    resumed, metrics = trained(dataset, root, workdir)
    assert len(straight.history["loss"]) == 6  # EarlyStopping
    assert len(set(straight.history["learning_rate"])) > 2
    assert set(resumed.history) == set(straight.history)
    for name, values in straight.history.items():
        if name.startswith("training/"):
            continue  # of this process: its memory
        assert resumed.history[name] == pytest.approx(values, rel=1e-4, abs=1e-5), name
    for a, b in zip(weights(straight), weights(resumed), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    losses = [(m.step, m.value) for m in metrics if m.name == "loss"]
    assert losses == list(enumerate(resumed.history["loss"], 1))
    assert logged_epochs(workdir / "tensorboard" / "train") == list(range(6))
    assert not (workdir / "resume").exists()


@pytest.mark.parametrize("epochs", [3, 6])
def test_a_kill_between_the_logs_and_the_backup_repeats_the_epoch_once(
    dataset: Dataset, recipe: Make, workdir: Path, monkeypatch: pytest.MonkeyPatch, epochs: int
) -> None:
    save = Backup.save

    def die(self: Backup, model: keras.Model, state: TrainingState) -> None:
        if state.epochs == epochs:
            raise KeyboardInterrupt
        save(self, model, state)

    with monkeypatch.context() as patch:
        patch.setattr(Backup, "save", die)
        with pytest.raises(KeyboardInterrupt):
            trained(dataset, recipe(), workdir)
    assert logged_epochs(workdir / "tensorboard" / "train") == list(range(epochs))
    checkpoint, _ = trained(dataset, recipe(), workdir)
    assert len(checkpoint.history["loss"]) == 6
    assert logged_epochs(workdir / "tensorboard" / "train") == list(range(6))


def test_a_training_killed_after_its_last_epoch_does_not_train_again(
    dataset: Dataset, recipe: Make, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_before_saving(dataset, recipe(), workdir, monkeypatch)
    monkeypatch.setattr(keras.Model, "train_step", lambda *_: 1 / 0)
    checkpoint, _ = trained(dataset, recipe(), workdir)
    assert len(checkpoint.history["loss"]) == 6
    assert logged_epochs(workdir / "tensorboard" / "train") == list(range(6))


def test_a_backup_of_another_model_is_not_used(
    dataset: Dataset, recipe: Make, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_before_saving(dataset, recipe(), workdir, monkeypatch)
    wider = TrainConfig(epochs=2, batch_size=16, params={"units": 9})
    events: list[object] = []
    context = StepContext(recipe_root=recipe(), emit=events.append)
    result = TrainStep(wider).run(dataset, workdir, context)
    assert len(result.output.history["loss"]) == 2
    assert any(isinstance(e, Message) and "starts anew" in e.text for e in events)


def leave_before_saving(
    dataset: Dataset, root: Path, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(keras.Model, "save", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            trained(dataset, root, workdir)


def trained(dataset: Dataset, root: Path, workdir: Path) -> tuple[Checkpoint, list[Metric]]:
    workdir.mkdir(exist_ok=True)
    events: list[object] = []
    context = StepContext(recipe_root=root, emit=events.append)
    result = TrainStep(CONFIG).run(dataset, workdir, context)
    return result.output, [event for event in events if isinstance(event, Metric)]


def kill_while_training(dataset: Dataset, root: Path, workdir: Path, *, step: int) -> None:
    code = f"""
        import pickle
        from pathlib import Path
        from mlflow_tfconv.artifacts import Dataset
        from mlflow_tfconv.engine.step import StepContext
        from mlflow_tfconv.steps import TrainStep

        dataset = Dataset(
            manifest=Path({str(dataset.manifest)!r}),
            digest={dataset.digest!r},
            counts={dict(dataset.counts)!r},
        )
        context = StepContext(recipe_root=Path({str(root)!r}))
        config = pickle.loads({pickle.dumps(CONFIG)!r})
        TrainStep(config).run(dataset, Path({str(workdir)!r}), context)
    """
    environ = {**os.environ, "DIE_AT_STEP": str(step), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr


def weights(checkpoint: Checkpoint) -> list[np.ndarray]:
    return keras.models.load_model(checkpoint.path).get_weights()


def logged_epochs(folder: Path) -> list[int]:
    """The steps of the scalar epoch_loss in a folder of event files, each as often as it is there."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    return [
        event.step
        for file in sorted(folder.glob("events.*"))
        for event in EventFileLoader(str(file)).Load()
        for value in event.summary.value
        if value.tag == "epoch_loss"
    ]
