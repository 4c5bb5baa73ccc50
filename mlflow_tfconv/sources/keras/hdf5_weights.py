"""Weights in HDF5 as every Keras before 3 wrote them; shapes are looked at before any data."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.keras.stored_layer import Array, StoredArray, StoredLayer


def hdf5_weights(path: Path, file: Any) -> tuple[StoredLayer, ...]:
    """The layers with their weights, in the order in which the file lists them.

    Args:
        path: The file, for messages and for reading later.
        file: It, opened; links were looked at.

    Raises:
        ConversionError: A layer or weight that the file lists is not in it.
    """
    root = file.get("model_weights", file)
    if "nb_layers" in root.attrs:  # before Keras 1.0
        names = [f"layer_{n}" for n in range(int(root.attrs["nb_layers"]))]
    elif listed_in(root):
        names = list(attribute_names(root, "layer_names"))
    else:
        raise ConversionError(
            "This HDF5 file holds no weights of Keras layers.",
            received=f"{path} with {', '.join(list(file)[:8]) or 'nothing in it'}",
            expected="groups of layers, and the attribute layer_names",
            fix="Name the file that model.save_weights or model.save wrote.",
        )
    return tuple(_layer(path, root, name) for name in names)


def listed_in(root: Any) -> bool:
    """Whether a group lists layers as Keras 1 and 2 do."""
    return "layer_names" in root.attrs or "layer_names0" in root.attrs


def attribute_names(group: Any, name: str) -> Iterator[str]:
    """A list of names in an attribute, or in several when it was too long for one."""
    keys = [name] if name in group.attrs else []
    count = 0
    while f"{name}{count}" in group.attrs:
        keys.append(f"{name}{count}")
        count += 1
    for key in keys:
        for item in np.asarray(group.attrs[key]).ravel():
            yield item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item)


def _layer(path: Path, root: Any, name: str) -> StoredLayer:
    if not isinstance(root.get(name), h5py.Group):
        raise _lost(path, name, f"the group {name!r} is missing, and layer_names lists it")
    group = root[name]
    if "nb_params" in group.attrs:
        names = [f"param_{n}" for n in range(int(group.attrs["nb_params"]))]
    else:
        names = list(attribute_names(group, "weight_names"))
    return StoredLayer(name, tuple(_array(path, group, name, weight) for weight in names))


def _array(path: Path, group: Any, layer: str, name: str) -> StoredArray:
    item = group.get(name)
    if not isinstance(item, h5py.Dataset):
        raise _lost(path, layer, f"{name!r} is missing, and weight_names lists it")
    return stored_array(path, item, name)


def stored_array(path: Path, item: Any, name: str) -> StoredArray:
    """A dataset that is read when it is wanted."""
    shape = tuple(int(size) for size in item.shape)
    read = partial(_read, path, item.name)
    return StoredArray(name, shape, read, read if len(shape) > 1 else None)


def _read(path: Path, name: str, rows: slice | None = None) -> Array:
    try:
        with h5py.File(path, "r") as file:
            values = np.asarray(file[name][() if rows is None else rows])
    except (OSError, RuntimeError, KeyError) as error:
        raise ConversionError(
            f"The weight {name!r} can't be read: the file is damaged or cut off.",
            received=f"{path}: {error}"[:400],
            fix="Copy or download the file again and compare its size.",
        ) from error
    if values.dtype.kind not in "fiub":
        raise ConversionError(
            f"The weight {name!r} does not hold numbers.",
            received=f"{values.dtype} in {path}",
            fix="Check that the file was written by Keras.",
        )
    return values


def _lost(path: Path, layer: str, why: str) -> ConversionError:
    return ConversionError(
        f"The weights of layer {layer!r} are missing from the file.",
        received=f"{path}: {why}",
        expected="the weights of every layer that the file lists",
        fix="Copy or download the file again, or save the model again.",
    )
