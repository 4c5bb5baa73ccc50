"""Variables in a file: written and read one after the other, so that memory holds one at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tensorflow as tf

from mlflow_tfconv.steps.train.libraries import (
    build,
    is_built,
    is_optimizer,
    variables_of_optimizer,
    weights_of_optimizer,
)
from mlflow_tfconv.steps.train.variables import METRICS, WEIGHTS, holders, variable_groups


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What the file of one variable holds.

    Attributes:
        shape: Of the array.
        dtype: Its name, such as "float32" or "bfloat16".
        offset: Where its bytes begin.
    """

    shape: tuple[int, ...]
    dtype: str
    offset: int

    @property
    def size_bytes(self) -> int:
        """How many bytes there are."""
        return int(np.prod(self.shape, dtype=np.int64)) * _numpy_dtype(self.dtype).itemsize


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """What a file of variables holds.

    Attributes:
        groups: Group of variables to what is stored of each.
        built_on: Optimizer to the numbers of the weights that it keeps variables for.
    """

    groups: Mapping[str, tuple[Stored, ...]]
    built_on: Mapping[str, tuple[int, ...]]

    @property
    def size_bytes(self) -> int:
        """Of the file."""
        return sum(one.size_bytes for stored in self.groups.values() for one in stored)


def store_variables(model: Any, path: Path) -> Index:
    """Writes all variables of a model into a file, as little-endian bytes in C order.

    Raises:
        OSError: The disk is full, for example.
    """
    with path.open("wb") as file:
        groups = {
            name: tuple(_store(variable, file) for variable in variables)
            for name, variables in variable_groups(model).items()
            if variables
        }
    return Index(groups=groups, built_on=_built_on(model))


def make_ready(model: Any, index: Index) -> None:
    """Lets the optimizers of a new model make the variables that those of the stored one had."""
    weights = list(model.variables)
    if not _agree(variable_groups(model)[WEIGHTS], index.groups.get(WEIGHTS, ())):
        return
    for name, thing in holders(model):
        if name in index.built_on:
            build(thing, [weights[number] for number in index.built_on[name]])


def fits(model: Any, index: Index) -> bool:
    """Whether the variables are those of this model.

    What is made during training only, such as an optimizer's moments, may be missing still.
    """
    groups = {name: variables for name, variables in variable_groups(model).items() if variables}
    later = {name for name, thing in holders(model) if is_optimizer(thing) and not is_built(thing)}
    judged = (set(groups) | set(index.groups)) - later - {METRICS}
    return all(_agree(groups.get(name, []), index.groups.get(name, ())) for name in judged)


def restore_variables(model: Any, path: Path, index: Index) -> bool:
    """Puts the values back; of an optimizer that has not begun, as soon as it has.

    Returns:
        Whether metrics have them as well; they lack where they are not made yet.
    """
    groups, optimizers = variable_groups(model), dict(holders(model))
    for name, stored in index.groups.items():
        if _agree(groups[name], stored):
            _read_into(groups[name], stored, path)
        elif name != METRICS:
            _restore_when_built(optimizers[name], stored, path)
    return _agree(groups[METRICS], index.groups.get(METRICS, ()))


def _built_on(model: Any) -> dict[str, tuple[int, ...]]:
    numbers = {id(weight): number for number, weight in enumerate(model.variables)}
    found = {
        name: [numbers.get(id(weight)) for weight in weights_of_optimizer(thing)]
        for name, thing in holders(model)
        if is_optimizer(thing) and is_built(thing)
    }
    return {
        name: tuple(number for number in known if number is not None)
        for name, known in found.items()
        if known and None not in known
    }


def _store(variable: Any, file: BinaryIO) -> Stored:
    offset, array = file.tell(), np.asarray(variable.numpy())
    file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return Stored(shape=array.shape, dtype=array.dtype.name, offset=offset)


def _agree(variables: Iterable[Any], stored: Iterable[Stored]) -> bool:
    return [tuple(variable.shape) for variable in variables] == [one.shape for one in stored]


def _read_into(variables: Iterable[Any], stored: Iterable[Stored], path: Path) -> None:
    with path.open("rb") as file:
        for variable, one in zip(variables, stored, strict=True):
            file.seek(one.offset)
            array = np.frombuffer(file.read(one.size_bytes), _numpy_dtype(one.dtype))
            variable.assign(array.reshape(one.shape))


def _restore_when_built(optimizer: Any, stored: tuple[Stored, ...], path: Path) -> None:
    """An optimizer of the user's own makes its variables with the first gradients."""
    build = optimizer.build

    def build_and_restore(weights: Any) -> None:
        build(weights)
        optimizer.build = build
        with tf.init_scope():  # it may be called while a function is traced
            _read_into(variables_of_optimizer(optimizer), stored, path)

    optimizer.build = build_and_restore


def _numpy_dtype(name: str) -> np.dtype[Any]:
    """Types that numpy lacks, such as bfloat16, are known to TensorFlow."""
    found: np.dtype[Any] = np.dtype(tf.as_dtype(name).as_numpy_dtype)
    return found
