"""Which stored weight of a layer goes where.

A layer by itself has its weights in a known order. A model that is a layer, or a wrapper, has
first those of all its layers that are trained, then those that are not; and what is trained may
have changed after it was saved. So several orders are tried: shapes and names must fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.keras.stored_layer import Shape, StoredArray, StoredLayer
from mlflow_tfconv.sources.keras.translated import Translated, WeightLayout, leaves

_Placed = tuple[Translated, WeightLayout, Sequence[StoredArray]]
_Slots = list[tuple[Translated, int]]

#: Kinds of weights by the names that any Keras gave them.
_KINDS = {
    "running_mean": "moving_mean", "running_std": "moving_variance", "w": "kernel", "b": "bias",
    "depthwise_kernel": "kernel", "alphas": "alpha", "mean": "moving_mean",
    "variance": "moving_variance",
}  # fmt: skip
_KNOWN = ("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance", "embeddings",
          "recurrent_kernel", "alpha", "pointwise_kernel")  # fmt: skip


def arrangement(layer: Translated, stored: StoredLayer, path: Path) -> list[_Placed]:
    """Each leaf of a layer with its layout and its stored weights.

    Raises:
        ConversionError: There is no order in which shapes and names fit.
    """
    arrays = stored.arrays
    likely = next(_orders(layer))
    orders = [order for order in _orders(layer) if len(order) == len(arrays)]
    if not orders:
        raise _other_number(layer, arrays, likely, path)
    placings = [placed for order in orders if (placed := _placed(order, arrays)) is not None]
    for placed in placings:
        if all(_names_agree(*one) for one in placed):
            return placed
    if placings:  # names that nobody knows tell nothing
        return placings[0]
    raise _other_shapes(layer, arrays, orders[0], path)


def _orders(layer: Translated) -> Iterator[_Slots]:
    """Ways in which a Keras may have written the weights, the likeliest first."""
    most = max((len(leaf.possible_layouts()) for leaf in leaves(layer)), default=0)
    for variant in range(most):
        for flags in (True, False):
            order = _Order(variant, flags)
            yield [*order.trained(layer), *order.still(layer)]
        yield [
            (leaf, place)
            for leaf in leaves(layer)
            for place in range(len(_layout(leaf, variant).shapes))
        ]


def _layout(leaf: Translated, variant: int) -> WeightLayout:
    layouts = leaf.possible_layouts()
    return layouts[min(variant, len(layouts) - 1)]


@dataclass(frozen=True, slots=True)
class _Order:
    """Weights that are trained before those that are not.

    Attributes:
        variant: Which of the layouts of each layer.
        flags: Whether what the architecture says of being trained counts.
    """

    variant: int
    flags: bool

    def trained(self, layer: Translated) -> _Slots:
        """Those that are trained."""
        if self._frozen(layer):
            return []
        if layer.children:
            return [slot for child in layer.children for slot in self.trained(child)]
        return [(layer, place) for place in range(_layout(layer, self.variant).trainable)]

    def still(self, layer: Translated) -> _Slots:
        """Those that are not."""
        if layer.children:
            still = [slot for child in layer.children for slot in self.still(child)]
            if not self._frozen(layer):
                return still
            return [*(slot for child in layer.children for slot in self.trained(child)), *still]
        layout = _layout(layer, self.variant)
        first = 0 if self._frozen(layer) else layout.trainable
        return [(layer, place) for place in range(first, len(layout.shapes))]

    def _frozen(self, layer: Translated) -> bool:
        return self.flags and not layer.trainable


def _placed(order: _Slots, arrays: Sequence[StoredArray]) -> list[_Placed] | None:
    """Each leaf with what it gets, or None when some shape does not fit any of its layouts."""
    given: dict[int, dict[int, StoredArray]] = {}
    owners: dict[int, Translated] = {}
    for (leaf, place), array in zip(order, arrays, strict=True):
        owners[id(leaf)] = leaf
        given.setdefault(id(leaf), {})[place] = array
    result: list[_Placed] = []
    for key, leaf in owners.items():
        own = [given[key][place] for place in sorted(given[key])]
        layout = _fitting(leaf, [array.shape for array in own])
        if layout is None:
            return None
        result.append((leaf, layout, own))
    return result


def _fitting(leaf: Translated, shapes: Sequence[Shape]) -> WeightLayout | None:
    fits = [layout for layout in leaf.possible_layouts() if list(layout.shapes) == list(shapes)]
    return fits[0] if fits else None


def _names_agree(leaf: Translated, layout: WeightLayout, arrays: Sequence[StoredArray]) -> bool:
    """Whether no stored name says another kind of weight than its place does."""
    del leaf
    for name, array in zip(layout.names, arrays, strict=True):
        said, placed = _kind(array.kind), _kind(name)
        if said in _KNOWN and placed in _KNOWN and said != placed:
            return False
    return True


def _kind(name: str) -> str:
    """The kind alone of "conv1_W", "bn_running_std" or "kernel"."""
    name = name.lower()
    if name in _KNOWN or name in _KINDS:
        return _KINDS.get(name, name)
    ends = [kind for kind in (*_KNOWN, *_KINDS) if name.endswith(f"_{kind}")]
    longest = max(ends, key=len, default=name)
    return _KINDS.get(longest, longest)


def _other_number(
    layer: Translated, arrays: Sequence[StoredArray], order: _Slots, path: Path
) -> ConversionError:
    return ConversionError(
        f"Layer {layer.name!r} ({layer.class_name}) wants {len(order)} weights, and the file has "
        f"{len(arrays)} for it.",
        received=f"{path}: " + ", ".join(f"{a.name} {a.shape}" for a in arrays)[:600],
        expected=", ".join(f"{name} {shape}" for name, shape in _wanted(order))[:600],
        fix="Name the weights that were saved from this very architecture.",
    )


def _other_shapes(
    layer: Translated, arrays: Sequence[StoredArray], order: _Slots, path: Path
) -> ConversionError:
    wanted = _wanted(order)
    pairs = zip(wanted, arrays, strict=True)
    wrong = [(name, shape, a) for (name, shape), a in pairs if shape != a.shape]
    (name, shape, array), *_ = wrong or [(*wanted[0], arrays[0])]
    return ConversionError(
        f"The {name} of layer {layer.name!r} ({layer.class_name}) has shape {array.shape} in the "
        f"file, and the layer wants {shape}.",
        received=f"{array.name} of shape {array.shape} in {path}",
        expected=f"shape {shape}",
        fix="Name the weights that were saved from this very architecture.",
    )


def _wanted(order: _Slots) -> list[tuple[str, Shape]]:
    layouts = [(leaf.possible_layouts()[0], place) for leaf, place in order]
    return [(layout.names[place], layout.shapes[place]) for layout, place in layouts]
