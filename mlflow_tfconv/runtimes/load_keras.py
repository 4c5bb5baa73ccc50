"""Loads a Keras file as what it is, a foreign file: nothing in it is executed."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import h5py
import keras

from mlflow_tfconv.errors import ConversionError


def load_keras(path: Path) -> Any:
    """The Keras 3 model in a `.keras` archive or an HDF5 file, not compiled.

    Custom classes must have been registered (`keras.saving.register_keras_serializable`).

    Raises:
        ConversionError: The file is refused (Lambda code, entries or links that leave it), damaged,
            without an architecture, or of a Keras whose layers this Keras does not know.
    """
    path = Path(path)
    with path.open("rb") as file:
        zipped = file.read(2) == b"PK"
    config = _archive_config(path) if zipped else _hdf5_config(path)
    for layer in _lambdas(config):
        raise ConversionError(
            f"This model is refused: layer {layer!r} is a Lambda, which holds program code.",
            received=str(path),
            expected="a model without Lambda layers; their code is not executed",
            fix="Replace the Lambda by a layer class of your own, registered with "
            "keras.saving.register_keras_serializable, or by keras.ops, and save again.",
        )
    return _loaded(path, ".keras" if zipped else ".h5")


def _loaded(path: Path, suffix: str) -> Any:
    # Keras chooses its reader by the file's suffix, which need not be true: a link's is.
    with tempfile.TemporaryDirectory(prefix="tfconv-") as folder:
        link = Path(folder) / f"model{suffix}"
        link.symlink_to(path.absolute())
        try:
            return keras.saving.load_model(link, compile=False, safe_mode=True)
        except Exception as error:  # Keras raises many kinds for what is one case
            raise ConversionError(
                "Keras can't load this model.",
                received=f"{path}: {_first_lines(error)}",
                expected="a model saved by Keras 3, whose custom classes are registered",
                fix="Define the model's custom classes with "
                "@keras.saving.register_keras_serializable() before loading (in a recipe: in "
                "steps/train.py). A file of an older Keras: load it there and save it again.",
            ) from error


def _first_lines(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines)[:400]}"


def _archive_config(path: Path) -> Any:
    try:
        with zipfile.ZipFile(path) as archive:
            _refuse_leaving_entries(path, archive.namelist())
            return json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise _unreadable(path, str(error)) from error


def _refuse_leaving_entries(path: Path, names: list[str]) -> None:
    for name in names:
        parts = PurePosixPath(name.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or ":" in parts.parts[0]:
            raise ConversionError(
                "This archive is refused: an entry would leave the folder it is unpacked in.",
                received=f"{name!r} in {path}",
                expected="entries below the archive's own root",
                fix="Don't use this file; have its author save the model again.",
            )


def _hdf5_config(path: Path) -> Any:
    try:
        with h5py.File(path, "r") as file:
            _refuse_links(path, file)
            text = file.attrs.get("model_config")
    except OSError as error:
        raise _unreadable(path, str(error)) from error
    if text is None:
        raise ConversionError(
            "This HDF5 file holds weights only: the architecture is missing.",
            received=str(path),
            expected="a whole model, saved with model.save()",
            fix="Build the model in Python, load these weights into it, and save it as .keras.",
        )
    try:
        return json.loads(text)
    except ValueError as error:
        raise _unreadable(path, f"its model_config is not JSON ({error})") from error


def _refuse_links(path: Path, file: h5py.File) -> None:
    """Raises when a group links to another file or a dataset keeps its bytes in one."""
    for name, group in _groups(file):
        for key in group:
            link = group.get(key, getlink=True)
            item = None if isinstance(link, h5py.ExternalLink) else group.get(key)
            if item is None or (isinstance(item, h5py.Dataset) and item.external):
                raise ConversionError(
                    "This HDF5 file is refused: it reads another file (external link or storage).",
                    received=f"{name}/{key} in {path}",
                    expected="weights inside the file itself",
                    fix="Don't use this file; have its author save the model again.",
                )


def _groups(group: h5py.Group, name: str = "") -> Iterator[tuple[str, h5py.Group]]:
    yield name, group
    for key in group:
        if group.get(key, getclass=True, getlink=True) is h5py.HardLink and isinstance(
            group[key], h5py.Group
        ):
            yield from _groups(group[key], f"{name}/{key}")


def _lambdas(config: Any) -> Iterator[str]:
    """Names of Lambda layers, and of functions written as bytecode, anywhere in a config."""
    if isinstance(config, list):
        for item in config:
            yield from _lambdas(item)
    if isinstance(config, dict):
        if config.get("class_name") in ("Lambda", "__lambda__"):
            inner = config.get("config")
            yield str(inner.get("name", "lambda") if isinstance(inner, dict) else "lambda")
        for item in config.values():
            yield from _lambdas(item)


def _unreadable(path: Path, why: str) -> ConversionError:
    return ConversionError(
        "The Keras file is damaged or cut off.",
        received=f"{path}: {why}",
        fix="Copy or download the file again and compare its size.",
    )
