"""Puts stored weights into a model that a function of the user built.

Checkpoints of TensorFlow 2 are matched object by object: attributes have the names that the model's
code gave them, whatever Keras runs it; models of Keras have their layers in order. Checkpoints of
TensorFlow 1 and other stores go by the variables' names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.checkpoints.checkpoint_reader import CheckpointReader
from mlflow_tfconv.sources.keras.object_nodes import (
    ObjectNode,
    all_keys,
    root_of_checkpoint,
    warned_of_unused,
)

_DEEPEST = 60


def fill_from_checkpoint(built: Any, reader: CheckpointReader) -> tuple[str, ...]:
    """Assigns every weight of a live object from a checkpoint of any kind.

    Args:
        built: A `keras.Model`, a model of tf_keras, or a `tf.Module`, with its variables.
        reader: The checkpoint.

    Returns:
        Warnings: weights of the checkpoint that nothing took.

    Raises:
        ConversionError: A weight is missing in the checkpoint or has another shape.
    """
    weights = {id(_variable(weight)): weight for weight in weights_of(built)}
    if reader.object_graph() is None:
        keys = _by_name(weights, reader)
    else:
        keys = _by_object(built, weights, reader)
    for identity, key in keys.items():
        weights[identity].assign(reader.read(key))
    return warned_of_unused(reader, set(keys.values()))


def weights_of(built: Any) -> list[Any]:
    """All weights of a live object; of a model of Keras, those that it counts as such."""
    found = built.weights if hasattr(built, "weights") else built.variables
    return list(found)


def _variable(weight: Any) -> Any:
    """The `tf.Variable` itself, which a variable of Keras 3 holds."""
    return weight.value if isinstance(weight, keras.Variable) else weight


def _name(weight: Any) -> str:
    return str(getattr(weight, "path", None) or weight.name).split(":")[0]


def _by_object(built: Any, weights: Mapping[int, Any], reader: CheckpointReader) -> dict[int, str]:
    """The identity of each variable to its key."""
    attempts = [(node, _match(built, node)) for node in root_of_checkpoint(reader).models()]
    complete = {
        tuple(sorted(match.keys.items())): (node, match)
        for node, match in attempts
        if not _missing(weights, match, reader)
    }
    if len(complete) > 1:
        names = ", ".join(str(node) for node, _ in complete.values())
        raise ConversionError(
            f"The checkpoint {reader.prefix.name} holds several models that fit: which?",
            received=names,
            expected="one model of this structure",
            fix="Let the function give a tf.Module that holds the model by the same name, with a "
            "__call__ that runs it.",
        )
    if complete:
        return next(iter(complete.values()))[1].keys
    node, match = min(attempts, key=lambda pair: len(_missing(weights, pair[1], reader)))
    raise _incomplete(reader, node, _missing(weights, match, reader))


def _missing(weights: Mapping[int, Any], match: _Match, reader: CheckpointReader) -> list[str]:
    problems = []
    for identity, weight in weights.items():
        shape, key = tuple(weight.shape), match.keys.get(identity)
        if key is None:
            problems.append(f"{_name(weight)} {shape} is not in the checkpoint")
        elif reader.shape(key) != shape:
            problems.append(
                f"{_name(weight)} has shape {shape}, {key.split('/.ATTR')[0]} of the checkpoint "
                f"{reader.shape(key)}"
            )
    return problems


def _incomplete(
    reader: CheckpointReader, node: ObjectNode | None, problems: list[str]
) -> ConversionError:
    where = f", looked for in {node}" if node is not None else ""
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    held = [key.split("/.ATTR")[0] for key in all_keys(reader)]
    return ConversionError(
        f"The checkpoint {reader.prefix.name} doesn't fill the model that was built: "
        f"{problems[0]}{more}.",
        received="; ".join(problems[:8])[:1500] + where,
        expected=f"one of the checkpoint's {len(held)} keys for each weight: "
        + ", ".join(held[:12])
        + (", ..." if len(held) > 12 else ""),
        fix="Let the function build the model as it was when the checkpoint was written.",
    )


@dataclass(slots=True)
class _Match:
    """Which variables of a live object were found where.

    Attributes:
        keys: The identity of a variable to its key.
        seen: Pairs of a live object and a node that were compared.
    """

    keys: dict[int, str] = field(default_factory=dict)
    seen: set[tuple[int, int]] = field(default_factory=set)


def _match(built: Any, node: ObjectNode) -> _Match:
    match = _Match()
    _compare(built, node, match, 0)
    return match


def _compare(live: Any, node: ObjectNode, match: _Match, depth: int) -> None:
    live = _variable(live)
    if (id(live), node.number) in match.seen or depth > _DEEPEST:
        return
    match.seen.add((id(live), node.number))
    if isinstance(live, tf.Variable):
        if node.key is not None:
            match.keys.setdefault(id(live), node.key)
        return
    for below, stored in _pairs(live, node):
        _compare(below, stored, match, depth + 1)


def _pairs(live: Any, node: ObjectNode) -> Iterator[tuple[Any, ObjectNode]]:
    """Parts of an object and where they are stored."""
    layers = getattr(live, "layers", None)
    stored = node.layers_with_weights()
    if isinstance(layers, list) and stored:
        with_weights = [layer for layer in layers if layer.weights]
        if len(with_weights) == len(stored):
            yield from zip(with_weights, stored, strict=True)
    for name, below in _attributes(live).items():
        child = node.child(name)
        if child is not None:
            yield below, child


def _attributes(live: Any) -> dict[str, Any]:
    """What hangs on an object by the names that a checkpoint has for it."""
    if isinstance(live, list | tuple):
        return {str(index): item for index, item in enumerate(live)}
    if isinstance(live, Mapping):
        return {key: item for key, item in live.items() if isinstance(key, str)}
    try:
        found = dict(tf.train.TrackableView.children(live))
    except (TypeError, AttributeError):
        return {}
    # Keras 3 keeps lists and dicts of layers to itself.
    kept = {n: v for n, v in vars(live).items() if isinstance(v, list | tuple | Mapping)}
    return {**kept, **found}


def _by_name(weights: Mapping[int, Any], reader: CheckpointReader) -> dict[int, str]:
    """Keys of a checkpoint that goes by names: the same name, or the only one that ends so."""
    found: dict[int, str] = {}
    problems: list[str] = []
    for identity, weight in weights.items():
        key = _key_of(_name(weight), tuple(weight.shape), reader)
        if key is None:
            problems.append(f"{_name(weight)} {tuple(weight.shape)} is not in the checkpoint")
        else:
            found[identity] = key
    if problems or len(set(found.values())) < len(found):
        raise _incomplete(reader, None, problems or ["two weights have the same name"])
    return found


def _key_of(name: str, shape: tuple[int, ...], reader: CheckpointReader) -> str | None:
    """The name itself, else the only key that ends so, with or without the outer scopes."""
    keys = [key for key in all_keys(reader) if reader.shape(key) == shape]
    if name in keys:
        return name
    parts = name.split("/")
    for start in range(len(parts)):
        tail = "/".join(parts[start:])
        fitting = [key for key in keys if key == tail or key.endswith(f"/{tail}")]
        if len(fitting) == 1:
            return fitting[0]
    return None
