"""Finds where in a model an export begins to differ from its source."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlflow_tfconv.runtimes.graph_walk import node_name
from mlflow_tfconv.runtimes.inner_values import Batch, InnerValues
from mlflow_tfconv.runtimes.layer_names import LayerNames
from mlflow_tfconv.runtimes.tolerance import Tolerance

Array = np.ndarray[Any, Any]
#: Tensors that are asked for at a time, and how often at most.
_AT_ONCE, _ROUNDS = 48, 12


def first_divergence(
    source: InnerValues,
    export: InnerValues,
    batch: Batch,
    *,
    tolerance: Tolerance,
    layers: Collection[str] = (),
) -> str | None:
    """The first tensor that differs, in words, with the layer it belongs to.

    Tensors that both models have under one name are compared, some at a time, going backwards from
    the outputs that differ and no further than to what agrees: an export may keep a name for
    something else (a convolution with the scale behind it folded in), and that does no harm.

    Args:
        source: What is right.
        export: What is not.
        batch: Inputs on which they differ; one example of it is looked at.
        tolerance: What is allowed.
        layers: Names of the layers of a Keras model.

    Returns:
        None when no output differs, or nothing before it can be compared.
    """
    search = _Search(source, export, batch, tolerance)
    found = search.first()
    if found is None:
        return None
    layer = LayerNames(layers, map(node_name, source.order)).of(node_name(found.tensor))
    place = found.tensor.removesuffix(":0")
    where = f"layer {layer!r} ({place})" if layer else place
    return f"{where}, which differs by up to {found.error:.3g} (values up to {found.largest:.3g})"


@dataclass(frozen=True, slots=True)
class _Difference:
    tensor: str
    error: float
    largest: float


class _Search:
    def __init__(
        self, source: InnerValues, export: InnerValues, batch: Batch, tolerance: Tolerance
    ) -> None:
        self._source, self._export, self._tolerance = source, export, tolerance
        self._place = {tensor: number for number, tensor in enumerate(source.order)}
        self._shared = set(source.order) & set(export.order)
        self._agreeing: set[str] = set()
        self._differing: dict[str, _Difference] = {}
        self._outputs = {n: t for n, t in source.outputs.items() if n in export.outputs}
        self._batch = self._example(batch)

    def first(self) -> _Difference | None:
        """Asks for more and more tensors between what agrees and what differs."""
        goals = self._wrong_outputs(self._batch)
        if not goals:
            return None
        for _ in range(_ROUNDS):
            region = self._region(goals)
            open_ones = [t for t in region if t in self._shared and not self._known(t)]
            if not open_ones:
                break
            self._probe(_spread(open_ones))
            differing = [t for t in self._region(goals) if t in self._differing]
            if differing:
                goals = [min(differing, key=self._place.__getitem__)]
        return self._differing.get(goals[0])

    def _known(self, tensor: str) -> bool:
        return tensor in self._agreeing or tensor in self._differing

    def _region(self, goals: Iterable[str]) -> list[str]:
        """What comes before the goals, in order, up to what agrees."""
        queue = [tensor for goal in goals for tensor in self._source.before(goal)]
        seen = set(queue)
        for tensor in queue:
            if tensor in self._agreeing:
                continue
            fresh = [t for t in dict.fromkeys(self._source.before(tensor)) if t not in seen]
            seen.update(fresh)
            queue.extend(fresh)
        found = [t for t in queue if t in self._place and t not in self._agreeing]
        return sorted(dict.fromkeys(found), key=self._place.__getitem__)

    def _probe(self, tensors: Sequence[str]) -> None:
        right = self._source.values(self._batch, tensors)
        given = self._export.values(self._batch, tensors)
        for tensor in tensors:
            if right[tensor].size != given[tensor].size:
                self._shared.remove(tensor)  # the name of something else
                continue
            found = self._difference(tensor, right[tensor], given[tensor])
            if found is None:
                self._agreeing.add(tensor)
            else:
                self._differing[tensor] = found

    def _difference(self, tensor: str, right: Array, given: Array) -> _Difference | None:
        """The smallest difference over the orders of axes that an export may have."""
        given = _doubles(given)
        errors = [float(_errors(r, given).max(initial=0.0)) for r in _layouts(right, given.shape)]
        largest = _largest(right)
        error = min(errors)
        if error <= self._tolerance.absolute + self._tolerance.relative * largest:
            return None
        return _Difference(tensor, error, largest)

    def _wrong_outputs(self, batch: Batch) -> list[str]:
        right, given = self._answers(batch)
        found = []
        for name, tensor in self._outputs.items():
            left, other = _doubles(right[name]), _doubles(given[name])
            allowed = self._tolerance.absolute + self._tolerance.relative * np.abs(left)
            fits = left.shape == other.shape
            errors = _errors(left, other) if fits else np.full((), np.inf)
            if not fits or not (errors <= np.where(np.isfinite(left), allowed, 0.0)).all():
                error = float(errors.max(initial=0.0))
                self._differing[tensor] = _Difference(tensor, error, _largest(left))
                found.append(tensor)
        return found

    def _answers(self, batch: Batch) -> tuple[Mapping[str, Array], Mapping[str, Array]]:
        right = self._source.values(batch, list(self._outputs.values()))
        wanted = {name: self._export.outputs[name] for name in self._outputs}
        given = self._export.values(batch, list(wanted.values()))
        return (
            {name: right[tensor] for name, tensor in self._outputs.items()},
            {name: given[tensor] for name, tensor in wanted.items()},
        )

    def _example(self, batch: Batch) -> Batch:
        """The example that differs most, alone, where a batch can be taken apart."""
        sizes = {len(array) if array.ndim else 0 for array in batch.values()}
        if len(sizes) != 1 or sizes <= {0, 1}:
            return batch
        errors = np.zeros(sizes.pop())
        right, given = self._answers(batch)
        for name, array in right.items():
            if array.shape != given[name].shape or array.shape[:1] != errors.shape:
                return batch
            rows = _errors(_doubles(array), _doubles(given[name])).reshape(len(errors), -1)
            errors = np.maximum(errors, rows.max(axis=1, initial=0.0))
        worst = int(errors.argmax())
        alone = {name: array[worst : worst + 1] for name, array in batch.items()}
        try:
            return alone if self._wrong_outputs(alone) else batch
        except Exception:  # noqa: BLE001 (the batch is fixed: it can't be taken apart)
            return batch


def _layouts(array: Array, shape: tuple[int, ...]) -> list[Array]:
    """The array as it is, and with its last axis, the channels, moved to the front.

    Dimensions of 1 may be there or not, so the shape is made to fit.
    """
    orders = [array, np.moveaxis(array, -1, 1)] if array.ndim >= 3 else [array]
    return [_doubles(order).reshape(shape) for order in orders]


def _doubles(array: Array) -> Array:
    return array.astype(np.float64)


def _errors(right: Array, given: Array) -> Array:
    """Absolute differences; none between two that are NaN, or the same infinity."""
    same = (right == given) | (np.isnan(right) & np.isnan(given))
    with np.errstate(invalid="ignore"):
        errors = np.where(same, 0.0, np.abs(given - right))
    return np.nan_to_num(errors, nan=np.inf, posinf=np.inf)


def _largest(array: Array) -> float:
    """The largest magnitude of what is finite."""
    values = _doubles(array)
    return float(np.abs(values).max(initial=0.0, where=np.isfinite(values)))


def _spread(tensors: Sequence[str]) -> list[str]:
    """Some of them, evenly, the first and the last among them."""
    if len(tensors) <= _AT_ONCE:
        return list(tensors)
    places = np.linspace(0, len(tensors) - 1, _AT_ONCE).round().astype(int)
    return [tensors[place] for place in dict.fromkeys(places.tolist())]
