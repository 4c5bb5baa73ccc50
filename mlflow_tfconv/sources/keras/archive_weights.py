"""Weights as tf.keras 2.12 to 2.15 wrote them: by their path in the model, not by layers' names.

Layers in a model are counted by class: `layers/dense`, `layers/dense_1`; what a layer consists of
is found by attribute: `forward_layer/cell/vars/0`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.keras.hdf5_weights import stored_array
from mlflow_tfconv.sources.keras.stored_layer import StoredArray, StoredLayer
from mlflow_tfconv.sources.keras.translated import Translated

#: Attributes in the order in which their weights count.
_ATTRIBUTES = ("forward_layer", "backward_layer", "_query_dense", "_key_dense", "_value_dense",
               "_output_dense")  # fmt: skip
#: Wrappers to the attribute that holds what they wrap.
_HOLDERS = {"TimeDistributed": "layer", "RNN": "cell"}


def archive_weights(
    model: Translated, file: Any, path: Path
) -> list[tuple[Translated, StoredLayer]]:
    """Each layer without others in it, with its weights.

    Args:
        model: The model.
        file: The HDF5 file, opened.
        path: It, for messages and for reading later.

    Raises:
        ConversionError: Weights of a layer are missing.
    """
    return list(_Walk(path).model(model, file))


_Pairs = Iterator[tuple[Translated, StoredLayer]]


class _Walk:
    """Goes through model and file side by side."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: dict[tuple[str, str], StoredLayer] = {}

    def model(self, model: Translated, group: Any) -> _Pairs:
        """A model and the group of its weights."""
        layers = _within(group, "layers")
        if not isinstance(layers, h5py.Group):
            layers = _within(group, "_layer_checkpoint_dependencies")
        yield from self._one_by_one(model.children, layers)

    def _one_by_one(self, children: Sequence[Translated], group: Any) -> _Pairs:
        counts: dict[str, int] = {}
        for child in children:
            name = _snake_case(child.class_name)
            count = counts[name] = counts.get(name, -1) + 1
            yield from self._inside(child, _within(group, f"{name}_{count}" if count else name))

    def _inside(self, layer: Translated, group: Any) -> _Pairs:
        if layer.class_name == "Bidirectional":
            for child, key in zip(layer.children, _ATTRIBUTES[:2], strict=True):
                yield from self._inside(child, _within(group, key))
        elif layer.class_name in _HOLDERS:
            yield from self._inside(layer.children[0], _within(group, _HOLDERS[layer.class_name]))
        elif layer.class_name == "StackedRNNCells":
            yield from self._one_by_one(layer.children, _within(group, "cells"))
        elif layer.children:
            yield from self.model(layer, group)
        elif layer.variables:
            yield layer, self._stored(layer, group)

    def _stored(self, layer: Translated, group: Any) -> StoredLayer:
        """What is used in several places was written in the first of them alone."""
        key = (layer.class_name, layer.name)
        arrays = tuple(_arrays(group, self._path)) if group is not None else ()
        if arrays:
            self._seen[key] = StoredLayer(layer.name, arrays)
        if key not in self._seen:
            raise _lost(layer, self._path)
        return self._seen[key]


def _within(group: Any, key: str) -> Any:
    return None if group is None else group.get(key)


def _arrays(group: Any, path: Path) -> Iterator[StoredArray]:
    """Its own weights, and then those of what it consists of."""
    own = group.get("vars")
    for key in sorted(own or (), key=_number):
        yield stored_array(path, own[key], own[key].name)
    for key in sorted(set(group) - {"vars"}, key=_rank):
        if isinstance(group[key], h5py.Group):
            yield from _arrays(group[key], path)


def _number(key: str) -> tuple[int, str]:
    return (int(key), "") if key.isdigit() else (0, key)


def _rank(key: str) -> tuple[int, str]:
    return (_ATTRIBUTES.index(key) if key in _ATTRIBUTES else len(_ATTRIBUTES), key)


def _snake_case(name: str) -> str:
    """Keras' own rule: "Conv2D" is conv2d, "LSTMCell" is lstm_cell."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _lost(layer: Translated, path: Path) -> ConversionError:
    return ConversionError(
        f"The weights of layer {layer.name!r} ({layer.class_name}) are missing.",
        received=f"{path}",
        expected="weights of every layer of the architecture",
        fix="Copy or download the file again, or save the model again.",
    )
