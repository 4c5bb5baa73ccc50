from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import pytest

from mlflow_tfconv.formats.known_formats import Recognised
from mlflow_tfconv.formats.recognition import recognised
from mlflow_tfconv.sources.chosen_source import chosen_source
from mlflow_tfconv.sources.options import SourceOptions
from mlflow_tfconv.sources.siblings import completed

K15 = Path(__file__).parents[1] / "fixtures" / "legacy" / "k15_tfkeras23_tfckpt_json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """HDF5 weights of a layer "dense", and an architecture that has it."""
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file.attrs["layer_names"] = [b"dense"]
        file.create_group("dense").attrs["weight_names"] = [b"dense/kernel:0"]
    architecture(tmp_path / "model.json", "dense")
    return tmp_path


def architecture(path: Path, layer: str) -> None:
    config = {"name": "m", "layers": [{"class_name": "Dense", "config": {"name": layer}}]}
    path.write_text(json.dumps({"class_name": "Sequential", "config": config}))


def beside(path: Path) -> tuple[SourceOptions, list[str]]:
    options, choices = completed(recognised(path), SourceOptions())
    return options, [choice.what for choice in choices]


def test_weights_find_the_only_architecture_with_their_layers(folder: Path) -> None:
    architecture(folder / "other.json", "conv")
    options, whats = beside(folder / "weights.h5")
    assert options.architecture == folder / "model.json"
    assert whats == ["architecture"]


def test_an_architecture_finds_its_weights(folder: Path) -> None:
    options, whats = beside(folder / "model.json")
    assert options.weights == folder / "weights.h5"
    assert whats == ["weights"]


def test_two_that_fit_are_not_chosen_from(folder: Path) -> None:
    shutil.copy(folder / "model.json", folder / "same.json")
    assert beside(folder / "weights.h5") == (SourceOptions(), [])


def test_what_the_user_says_stays(folder: Path) -> None:
    options = SourceOptions(weights=folder / "mine.h5")
    found = Recognised(format="keras_json", path=folder / "model.json")
    assert completed(found, options) == (options, ())


@pytest.mark.parametrize("name", ["model.json", "weights.ckpt"])
def test_a_checkpoint_of_objects_and_its_json_are_read_together(name: str) -> None:
    chosen = chosen_source(K15 / name, SourceOptions())
    assert chosen.format == "object_checkpoint"
    assert len(chosen.choices) == 1
