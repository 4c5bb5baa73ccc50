"""Finds the other half of a model, its architecture or its weights, in the same folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlflow_tfconv.artifacts import Choice
from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.formats.known_formats import Recognised
from mlflow_tfconv.formats.recognition import recognised
from mlflow_tfconv.sources.options import SourceOptions

ARCHITECTURES = ("keras_json", "keras_yaml")
WEIGHTS = ("weights_h5", "object_checkpoint")
_MOST_FILES = 500
_LARGEST_TEXT = 64 * 2**20


def completed(
    found: Recognised, options: SourceOptions
) -> tuple[SourceOptions, tuple[Choice, ...]]:
    """The options with the other half of a model, when exactly one lies beside it that may fit.

    Whether it does fit, to the last weight, is for the reader to see. Weights of darknet are
    looked for, and counted, by their own reader.

    Args:
        found: What the user named.
        options: What the user says; what is said already stays.
    """
    if found.format in WEIGHTS and options.architecture is None:
        fitting = [one for one in _beside(found, ARCHITECTURES) if _may_fit(one, found)]
        if len(fitting) == 1:
            choice = _choice("architecture", fitting[0], found)
            return replace(options, architecture=fitting[0].path), (choice,)
    if found.format in ARCHITECTURES and options.weights is None:
        wanted = (*WEIGHTS, "darknet_weights")
        fitting = [one for one in _beside(found, wanted) if _may_fit(found, one)]
        if len(fitting) == 1:
            choice = _choice("weights", fitting[0], found)
            return replace(options, weights=fitting[0].path), (choice,)
    return options, ()


def _choice(what: str, half: Recognised, of: Recognised) -> Choice:
    reason = f"the only {what} beside {of.path.name} that may belong to it"
    return Choice(what=what, chosen=half.path.name, argument=what, reason=reason)


def _beside(found: Recognised, formats: tuple[str, ...]) -> list[Recognised]:
    """What else lies in the folder, each checkpoint once."""
    seen = {one.path: one for one in _others(found.path) if one.format in formats}
    return [one for path, one in seen.items() if path != found.path]


def _others(path: Path) -> Iterator[Recognised]:
    for entry in sorted(path.absolute().parent.iterdir())[:_MOST_FILES]:
        if entry.is_file() and entry.name != path.name:
            try:
                yield recognised(path.parent / entry.name)
            except ConversionError:
                continue


def _may_fit(architecture: Recognised, weights: Recognised) -> bool:
    """Weights of HDF5 name their layers, which the architecture then has to have."""
    if weights.format != "weights_h5" or architecture.format != "keras_json":
        return True
    there, wanted = _layers_of_hdf5(weights.path), _names_in(architecture.path)
    return not there or not wanted or there <= wanted


def _layers_of_hdf5(path: Path) -> set[str]:
    """Names of the layers that have weights, where the file has names."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            names = [
                name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
                for name in file.attrs.get("layer_names", ())
            ]
            return {name for name in names if len(file[name].attrs.get("weight_names", ()))}
    except (OSError, KeyError, RuntimeError, AttributeError, TypeError):
        return set()


def _names_in(path: Path) -> set[str]:
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(_LARGEST_TEXT))
        return set(_names(json.loads(content) if isinstance(content, str) else content))
    except (OSError, ValueError, RecursionError):
        return set()


def _names(value: Any) -> Iterator[str]:
    """Every `name` in a config."""
    if isinstance(value, dict):
        if isinstance(value.get("name"), str):
            yield value["name"]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _names(item)
