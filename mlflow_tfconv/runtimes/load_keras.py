"""Loads a file of Keras 3 as what it is, a foreign file: nothing in it is executed."""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import keras

from mlflow_tfconv.errors import ConfigError, ConversionError
from mlflow_tfconv.runtimes.bytecode import bytecode_of, function_from
from mlflow_tfconv.runtimes.keras_files import (
    archive_config,
    hdf5_config,
    is_archive,
    lambda_names,
    opened_hdf5,
    refuse_empty_claims,
)
from mlflow_tfconv.runtimes.layers_of_old import registered  # noqa: F401 (registers layers)
from mlflow_tfconv.runtimes.layers_of_old.given_function import GivenFunction

Functions = Mapping[str, Callable[..., Any]]


def load_keras(
    path: Path,
    *,
    lambdas: Functions | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    trust: bool = False,
) -> Any:
    """The Keras 3 model in a `.keras` archive or an HDF5 file, not compiled.

    Args:
        path: The file.
        lambdas: Name of a Lambda layer to the function that replaces it.
        custom_objects: Name to class or function; others must have been registered
            (`keras.saving.register_keras_serializable`).
        trust: Whether the code of Lambda layers may be run where it is of this Python.

    Raises:
        ConversionError: The file is refused (Lambda code, entries or links that leave it), damaged,
            without an architecture, or of a Keras whose layers this Keras does not know.
    """
    path = Path(path)
    zipped = is_archive(path)
    config = archive_config(path) if zipped else hdf5_config(path)
    there = sorted(set(lambda_names(config)))
    replaced = replaced_lambdas(config, lambdas or {}, trust=trust)
    refuse_lambdas(config, path)
    _require_named(path, there, lambdas or {})

    objects = {**(custom_objects or {}), **replaced}
    if not zipped:
        with opened_hdf5(path) as file:
            refuse_empty_claims(path, file)
    with tempfile.TemporaryDirectory(prefix="tfconv-") as folder:
        place = Path(folder) / ("model.keras" if zipped else "model.h5")
        if replaced:
            _copied(path, place, config)
        else:  # Keras chooses its reader by the file's suffix, which need not be true: a link's is
            place.symlink_to(path.absolute())
        return _loaded(path, place, objects)


def _require_named(path: Path, there: Sequence[str], lambdas: Functions) -> None:
    unused = sorted(set(lambdas) - set(there))
    if unused:
        raise ConfigError(
            f"There is no Lambda layer called {unused[0]!r} to replace.",
            received=f"lambdas for {', '.join(map(repr, unused))}; {path}",
            expected="names of Lambda layers of this model: " + (", ".join(there) or "none"),
            fix="Call the replacement by the layer's name.",
        )


def refuse_lambdas(config: Any, path: Path) -> None:
    """Raises when a config holds program code.

    Raises:
        ConversionError: It does.
    """
    for layer in lambda_names(config):
        raise ConversionError(
            f"This model is refused: layer {layer!r} is a Lambda, which holds program code "
            "(marshalled bytecode of Python). It is not executed.",
            received=str(path),
            expected="a model without Lambda layers, or functions in place of their code",
            fix=f'Say what it computes when you convert it: lambdas={{"{layer}": function}}. Or '
            "replace it by a layer class of your own, registered with "
            "keras.saving.register_keras_serializable, or by keras.ops, and save again.",
        )


def _loaded(path: Path, place: Path, objects: Mapping[str, Any]) -> Any:
    try:
        return keras.saving.load_model(
            place, custom_objects=dict(objects), compile=False, safe_mode=True
        )
    except Exception as error:  # Keras raises many kinds for what is one case
        raise ConversionError(
            "Keras can't load this model.",
            received=f"{path}: {_first_lines(error)}",
            expected="a model saved by Keras 3, whose custom classes are registered",
            fix="Define the model's custom classes with "
            "@keras.saving.register_keras_serializable() before loading (in a recipe: in "
            "steps/train.py), or give them as custom_objects. A file of an older Keras: convert "
            "it first.",
        ) from error


def _first_lines(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines)[:400]}"


def replaced_lambdas(config: Any, lambdas: Functions, *, trust: bool) -> dict[str, Any]:
    """Puts functions in the place of Lambda layers; the classes by which it refers to them."""
    found: dict[str, Any] = {}
    if isinstance(config, list):
        for item in config:
            found |= replaced_lambdas(item, lambdas, trust=trust)
    if not isinstance(config, dict):
        return found
    inner = config.get("config")
    if config.get("class_name") == "Lambda" and isinstance(inner, dict):
        name = str(inner.get("name"))
        function = lambdas.get(name) or (_trusted(name, inner.get("function")) if trust else None)
        if function is not None:
            kind = _class_of(function, inner)
            config.update(class_name=kind.__name__, registered_name=kind.__name__, module=None)
            config["config"] = {"name": name}
            config.pop("build_config", None)
            return {kind.__name__: kind}
    for item in config.values():
        found |= replaced_lambdas(item, lambdas, trust=trust)
    return found


def _class_of(function: Callable[..., Any], config: Mapping[str, Any]) -> type:
    """A class whose layers call the function: what Keras makes from a config has a class."""

    def from_config(cls: type, own: dict[str, Any]) -> Any:
        del cls
        return GivenFunction(function, config.get("arguments") or {}, name=own["name"])

    name = f"GivenFunction of {config.get('name')}"
    return type(name, (GivenFunction,), {"from_config": classmethod(from_config)})


def _trusted(name: str, dumped: Any) -> Any:
    """The code itself.

    Raises:
        ConversionError: It is bytecode of another Python, or damaged.
    """
    inner = dumped.get("config") if isinstance(dumped, dict) else None
    defaults = inner.get("defaults") if isinstance(inner, dict) else None
    return function_from(bytecode_of(dumped), defaults, f"the Lambda {name!r}")


def _copied(path: Path, place: Path, config: Any) -> None:
    """Writes the file again with another config."""
    text = json.dumps(config)
    if place.suffix == ".h5":
        shutil.copyfile(path, place)
        with h5py.File(place, "r+") as file:
            file.attrs["model_config"] = text
        return
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(place, "w") as target:
        for entry in source.infolist():
            if entry.filename == "config.json":
                target.writestr(entry.filename, text)
                continue
            with (
                source.open(entry) as old,
                target.open(entry.filename, "w", force_zip64=True) as new,
            ):
                shutil.copyfileobj(old, new)
