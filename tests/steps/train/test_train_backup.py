from __future__ import annotations

import pickle
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from mlflow_tfconv.errors import StepError
from mlflow_tfconv.steps.train.backup import Backup, TrainingState
from mlflow_tfconv.steps.train.callback_state import (
    changed_attributes,
    plain_attributes,
    random_states,
    restore_attributes,
)


def state(epochs: int, best: int = 1, **log_sizes: int) -> TrainingState:
    return TrainingState(
        epochs=epochs,
        best_epoch=best,
        random_states=random_states(),
        log_sizes=log_sizes,
    )


def name(epochs: int, steps: int = 0) -> str:
    return f"epoch-{epochs:06d}-step-{steps:09d}"


def small_model(units: int = 2) -> keras.Model:
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(units), keras.layers.Dropout(0.5)]
    )
    model.compile("adam", "mse")
    return model


@pytest.fixture
def backup(tmp_path: Path) -> Backup:
    return Backup(tmp_path / "resume", tmp_path / "logs")


def test_the_last_and_the_best_epoch_are_kept(backup: Backup) -> None:
    model = small_model()
    for epochs, best in ((1, 1), (2, 2), (3, 2), (4, 2)):
        backup.save(model, state(epochs, best))
    assert sorted(path.name for path in backup.folder.iterdir()) == [name(2), name(4)]
    found = backup.load()
    assert found is not None
    assert (found.epochs, found.best_epoch) == (4, 2)


def test_a_kill_while_writing_leaves_the_epoch_before(
    backup: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small_model()
    backup.save(model, state(1))
    with monkeypatch.context() as patch:
        patch.setattr(pickle, "dumps", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            backup.save(model, state(2))
    found = backup.load()
    assert found is not None
    assert found.epochs == 1
    backup.save(model, state(2))
    assert sorted(path.name for path in backup.folder.iterdir()) == [name(1), name(2)]


def test_weights_optimizer_and_seeds_come_back(backup: Backup) -> None:
    model = small_model()
    model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    saved = [v.numpy() for v in (*model.variables, *model.optimizer.variables)]
    backup.save(model, state(1))
    other = small_model()
    other.optimizer.build(other.trainable_variables)
    assert backup.restore_variables(other, 1).weights
    for array, variable in zip(saved, (*other.variables, *other.optimizer.variables), strict=True):
        np.testing.assert_array_equal(array, variable.numpy())


def test_variables_in_bfloat16_come_back(backup: Backup) -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, dtype="bfloat16")])
    model.compile("sgd", "mse")
    backup.save(model, state(1))
    expected = model.get_weights()[0].astype("float32")
    model.set_weights([np.zeros((3, 2)), np.zeros(2)])
    assert backup.restore_variables(model, 1).weights
    np.testing.assert_array_equal(model.get_weights()[0].astype("float32"), expected)


def test_another_model_is_left_as_it_is(backup: Backup) -> None:
    backup.save(small_model(2), state(1))
    assert not backup.restore_variables(small_model(3), 1).weights


def test_logs_go_back_to_the_state(backup: Backup) -> None:
    backup.logs.mkdir()
    (backup.logs / "kept").write_text("before and after")
    (backup.logs / "new").write_text("after")
    backup.restore_logs(state(1, kept=6))
    assert (backup.logs / "kept").read_text() == "before"
    assert not (backup.logs / "new").exists()
    backup.restore_logs(None)
    assert list(backup.logs.iterdir()) == []


def test_what_training_changed_in_a_callback_comes_back() -> None:
    class Mine(keras.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.count, self.seen, self.place = 0, {}, "here"
            self.key, self.lock = (lambda value: value), threading.Lock()

    trained, fresh = Mine(), Mine()
    before = [plain_attributes(trained)]
    trained.count, trained.seen = 3, {"a": [np.arange(2), None]}
    saved = changed_attributes([trained], before)
    fresh.place = "there"
    restore_attributes([fresh], saved)
    assert (fresh.count, fresh.place) == (3, "there")
    np.testing.assert_array_equal(fresh.seen["a"][0], [0, 1])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 300 KB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("this user may not mount a disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_told_and_the_state_before_is_whole(small_disk: Path) -> None:
    backup, model = Backup(small_disk / "resume", small_disk / "logs"), small_model(20_000)
    with pytest.raises(StepError, match=r"after epoch 1 could not be kept: the disk is full"):
        backup.save(model, state(1))
    small = small_model()
    backup.save(small, state(1))
    (small_disk / "hog").write_bytes(bytes(shutil.disk_usage(small_disk).free))
    with pytest.raises(StepError, match=r"after epoch 2 could not be kept: the disk is full"):
        backup.save(small, state(2))
    found = backup.load()
    assert found is not None
    assert found.epochs == 1
    assert backup.restore_variables(small, 1).weights


def test_a_state_that_a_crash_has_cut_is_passed_over(backup: Backup) -> None:
    model = small_model()
    backup.save(model, state(1))
    backup.save(model, state(2, best=1))
    file = backup.folder / name(2) / "variables.bin"
    file.write_bytes(file.read_bytes()[:-1])
    found = backup.load()
    assert found is not None
    assert found.epochs == 1


def test_a_second_optimizer_comes_back_before_it_is_used(backup: Backup) -> None:
    def with_two(trained: bool) -> keras.Model:
        model = small_model()
        model.other = keras.optimizers.Adam(0.1)
        if trained:
            weight = model.trainable_variables[0]
            model.other.apply_gradients([(np.ones((3, 2), "float32"), weight)])
        return model

    first, second = with_two(trained=True), with_two(trained=False)
    backup.save(first, state(1))
    assert backup.restore_variables(second, 1).weights
    for kept, variable in zip(first.other.variables, second.other.variables, strict=True):
        np.testing.assert_array_equal(kept.numpy(), variable.numpy())
