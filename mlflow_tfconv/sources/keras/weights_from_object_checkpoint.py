"""Puts the weights of a TensorFlow 2 checkpoint into a translated Keras model.

The checkpoint names layers by their place (`layer_with_weights-3`) and weights by the attribute
that held them (`cell/recurrent_kernel`), so that both are matched, with their shapes. A model that
isn't filled to the last weight is an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import keras

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.checkpoints.checkpoint_reader import CheckpointReader
from mlflow_tfconv.sources.keras.object_nodes import (
    ObjectNode,
    StoredVariable,
    root_of_checkpoint,
    warned_of_unused,
)
from mlflow_tfconv.sources.keras.translated import Translated, WeightLayout, leaves


def weights_from_object_checkpoint(model: Translated, reader: CheckpointReader) -> tuple[str, ...]:
    """Assigns all weights.

    Args:
        model: The model, built; its children are its layers in the original's order.
        reader: The checkpoint.

    Returns:
        Warnings: weights of the checkpoint that the model has no place for.

    Raises:
        ConversionError: The checkpoint has no objects, or not all weights of the model.
    """
    root = root_of_checkpoint(reader)
    attempts = [_matched(model, node) for node in root.models() if node.layers_with_weights()]
    if not attempts:
        raise _no_model(reader, root)
    best = min(attempts, key=lambda match: len(match.problems))
    if best.problems:
        raise _misfit(reader, best)
    for layout, leaf, keys in best.found:
        arrays = [reader.read(key) for key in keys]
        for variable, value in zip(leaf.variables, layout.values(arrays), strict=True):
            variable.assign(value)
    for leaf in leaves(model):
        if leaf.finish is not None:
            leaf.finish()
    return warned_of_unused(reader, {key for _, _, keys in best.found for key in keys})


@dataclass(slots=True)
class _Match:
    """How a model and the objects of a checkpoint fit.

    Attributes:
        found: Layers with the layout of their weights and the keys of them.
        problems: What doesn't fit, in words.
    """

    found: list[tuple[WeightLayout, Translated, tuple[str, ...]]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def _matched(model: Translated, node: ObjectNode) -> _Match:
    match = _Match()
    _match_model(model, node, match)
    return match


def _match_model(model: Translated, node: ObjectNode, match: _Match) -> None:
    layers = [child for child in _unique(model.children) if _has_weights(child)]
    nodes = node.layers_with_weights()
    for layer, stored in zip(layers, nodes, strict=False):
        if isinstance(layer.layer, keras.Model):
            _match_model(layer, stored, match)
        else:
            _match_layer(layer, stored, match)
    for layer in layers[len(nodes) :]:
        match.problems.append(f"layer {layer.name!r} ({layer.class_name}) is not in the checkpoint")
    for stored in nodes[len(layers) :]:
        held = ", ".join(_in_words(v) for v in stored.variables())
        match.problems.append(f"{stored} of the checkpoint ({held}) has no layer in the model")


def _unique(children: Sequence[Translated]) -> list[Translated]:
    return list({id(child): child for child in children}.values())


def _has_weights(layer: Translated) -> bool:
    return any(leaf.variables for leaf in leaves(layer))


def _match_layer(layer: Translated, node: ObjectNode, match: _Match) -> None:
    left = node.variables()
    for leaf in leaves(layer):
        if not leaf.variables:
            continue
        chosen = _chosen(leaf, left)
        if chosen is None:
            match.problems.append(_in_full(leaf, node))
            return
        layout, variables = chosen
        left = [variable for variable in left if variable not in variables]
        match.found.append((layout, leaf, tuple(variable.key for variable in variables)))


def _chosen(
    leaf: Translated, left: Sequence[StoredVariable]
) -> tuple[WeightLayout, list[StoredVariable]] | None:
    """The first layout that the variables fit, by name and shape."""
    for layout in leaf.possible_layouts():
        for same_name in (_same, _alike):
            taken: list[StoredVariable] = []
            for name, shape in zip(layout.names, layout.shapes, strict=True):
                fitting = (
                    v
                    for v in left
                    if v not in taken and v.shape == shape and same_name(v.name, name)
                )
                taken.extend([v for v in [next(fitting, None)] if v is not None])
            if len(taken) == len(layout.names):
                return layout, taken
    return None


def _same(stored: str, name: str) -> bool:
    return stored == name.lstrip("_")


def _alike(stored: str, name: str) -> bool:
    """`depthwise_kernel` of an older Keras is the `kernel` of today's DepthwiseConv2D."""
    return stored.endswith(f"_{name}") or name.endswith(f"_{stored}") or stored == name


def _in_full(leaf: Translated, node: ObjectNode) -> str:
    layout = leaf.possible_layouts()[0]
    wanted = ", ".join(f"{n} {s}" for n, s in zip(layout.names, layout.shapes, strict=True))
    held = ", ".join(_in_words(variable) for variable in node.variables()) or "nothing"
    return (
        f"layer {leaf.name!r} ({leaf.class_name}) wants {wanted}; {node} of the checkpoint "
        f"holds {held}"
    )


def _in_words(variable: StoredVariable) -> str:
    return f"{'/'.join(variable.path)} {variable.shape}"


def _misfit(reader: CheckpointReader, match: _Match) -> ConversionError:
    more = len(match.problems) - 1
    return ConversionError(
        f"The checkpoint {reader.prefix.name} doesn't fit the architecture: {match.problems[0]}"
        + (f" (and {more} more)." if more else "."),
        received="; ".join(match.problems[:8])[:2000],
        expected="a weight of the right shape for every layer of the architecture",
        fix="Give the architecture that these weights were saved from.",
    )


def _no_model(reader: CheckpointReader, root: ObjectNode) -> ConversionError:
    names = ", ".join(root.children()) or "none"
    return ConversionError(
        f"The checkpoint {reader.prefix.name} holds no functional or sequential Keras model.",
        received=f"{reader.prefix}: objects {names}",
        expected="layers in the order of a model (layer_with_weights-0, ...)",
        fix="Weights of a subclassed model need its code: architecture=FUNCTION that builds it.",
    )
