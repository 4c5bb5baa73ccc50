from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mlflow_tfconv.artifacts import Dataset
from mlflow_tfconv.engine.step import StepContext
from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps import TrainConfig, TrainStep


def test_a_damaged_record_is_told_with_file_and_place(
    dataset: Dataset, recipe: Callable[..., Path], workdir: Path, tmp_path: Path
) -> None:
    copied = Path(shutil.copytree(dataset.manifest.parent, tmp_path / "copied"))
    shard = copied / "train-00000.tfrecord"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    damaged = replace(dataset, manifest=copied / dataset.manifest.name)
    step = TrainStep(TrainConfig(epochs=1, batch_size=16))
    with pytest.raises(DataError, match=r"train-00000\.tfrecord is damaged: record \d+ \(from 0\)"):
        step.run(damaged, workdir, StepContext(recipe_root=recipe()))
